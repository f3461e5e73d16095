//! One user who asks for much takes nothing from the others.

mod watches;
mod writes;
