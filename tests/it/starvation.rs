//! One user who asks for much takes nothing from the others.

mod references;
mod watches;
mod writes;
