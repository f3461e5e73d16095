//! The ciphers: what follows a key's prefix in a stored value. Layouts are Kubernetes' own
//! (`k8s.io/apiserver/pkg/storage/value/encrypt`), so that its servers read what is written here, and the other way round.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser, InnerIvInit, KeyInit, KeyIvInit,
    StreamCipher,
};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::AesGcm;
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::{U12, U16};
use poly1305::Poly1305;
use salsa20::XSalsa20;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// One key with the way it is used.
pub(crate) trait Cipher: Send + Sync {
    /// Appends the encrypted value.
    ///
    /// # Errors
    /// The system has no random numbers.
    fn encrypt(&self, location: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<(), getrandom::Error>;

    /// The value, if it was encrypted with this key, and for this place where the cipher binds values to places.
    fn decrypt(&self, location: &[u8], encrypted: &[u8]) -> Option<Vec<u8>>;
}

/// How to make a cipher of a key: `None` when the key has not the right length.
pub(crate) type Make = fn(&[u8]) -> Option<Box<dyn Cipher>>;

/// AES-GCM: nonce of 12 bytes, ciphertext, tag of 16 bytes. The place of the value is authenticated with it. Nonces are random,
/// so a key is good for 2^32 writes (NIST SP 800-38D, 8.3) and has to be replaced before.
pub(crate) fn aes_gcm(key: &[u8]) -> Option<Box<dyn Cipher>> {
    Some(match key.len() {
        16 => Box::new(Gcm(AesGcm::<Aes128, U12>::new_from_slice(key).ok()?)),
        24 => Box::new(Gcm(AesGcm::<Aes192, U12>::new_from_slice(key).ok()?)),
        32 => Box::new(Gcm(AesGcm::<Aes256, U12>::new_from_slice(key).ok()?)),
        _ => return None,
    })
}

/// AES-CBC with PKCS#7 padding: initialization vector of 16 bytes, ciphertext. Nothing is authenticated.
pub(crate) fn aes_cbc(key: &[u8]) -> Option<Box<dyn Cipher>> {
    Some(match key.len() {
        16 => Box::new(Cbc(Aes128::new_from_slice(key).ok()?)),
        24 => Box::new(Cbc(Aes192::new_from_slice(key).ok()?)),
        32 => Box::new(Cbc(Aes256::new_from_slice(key).ok()?)),
        _ => return None,
    })
}

/// NaCl's secretbox: nonce of 24 bytes, tag of 16 bytes, ciphertext. The value is authenticated, its place is not.
pub(crate) fn secretbox(key: &[u8]) -> Option<Box<dyn Cipher>> {
    Some(Box::new(Secretbox(Zeroizing::new(key.try_into().ok()?))))
}

/// Appends this many random bytes.
fn push_random<const N: usize>(out: &mut Vec<u8>) -> Result<[u8; N], getrandom::Error> {
    let mut random = [0; N];
    getrandom::fill(&mut random)?;
    out.extend_from_slice(&random);
    Ok(random)
}

struct Gcm<A>(AesGcm<A, U12>);

impl<A> Cipher for Gcm<A>
where
    A: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + Send + Sync,
{
    fn encrypt(&self, location: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<(), getrandom::Error> {
        let nonce = push_random::<12>(out)?;
        let start = out.len();
        out.extend_from_slice(plain);
        // It fails only for values of 64 GiB and more.
        let tag = self.0.encrypt_inout_detached(&nonce.into(), location, out[start..].as_mut().into());
        out.extend_from_slice(&tag.map_err(|_| getrandom::Error::UNEXPECTED)?);
        Ok(())
    }

    fn decrypt(&self, location: &[u8], encrypted: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = encrypted.split_first_chunk::<12>()?;
        let (ciphertext, tag) = rest.split_last_chunk::<16>()?;
        let mut value = ciphertext.to_vec();
        self.0.decrypt_inout_detached(&(*nonce).into(), location, value.as_mut_slice().into(), &(*tag).into()).ok()?;
        Some(value)
    }
}

struct Cbc<A>(A);

impl<A> Cipher for Cbc<A>
where
    A: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt + BlockCipherDecrypt + Clone + Send + Sync,
{
    fn encrypt(&self, _location: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<(), getrandom::Error> {
        let vector = push_random::<16>(out)?;
        let start = out.len();
        out.extend_from_slice(plain);
        out.resize(start + (plain.len() / 16 + 1) * 16, 0);
        let encryptor = cbc::Encryptor::inner_iv_init(self.0.clone(), &vector.into());
        // The room for the padding was made above.
        encryptor.encrypt_padded::<Pkcs7>(&mut out[start..], plain.len()).map_err(|_| getrandom::Error::UNEXPECTED)?;
        Ok(())
    }

    fn decrypt(&self, _location: &[u8], encrypted: &[u8]) -> Option<Vec<u8>> {
        let (vector, ciphertext) = encrypted.split_first_chunk::<16>()?;
        let mut value = ciphertext.to_vec();
        let decryptor = cbc::Decryptor::inner_iv_init(self.0.clone(), &(*vector).into());
        let length = decryptor.decrypt_padded::<Pkcs7>(&mut value).ok()?.len();
        value.truncate(length);
        Some(value)
    }
}

/// Made of its two parts, because the crate that has them put together is not released for their present versions.
struct Secretbox(Zeroizing<[u8; 32]>);

impl Secretbox {
    /// The key stream behind what the authenticator takes of it, and the authenticator.
    fn begin(&self, nonce: &[u8; 24]) -> (XSalsa20, Poly1305) {
        let mut stream = XSalsa20::new((&*self.0).into(), nonce.into());
        let mut key = Zeroizing::new([0; 32]);
        stream.apply_keystream(key.as_mut_slice());
        (stream, Poly1305::new((&*key).into()))
    }
}

impl Cipher for Secretbox {
    fn encrypt(&self, _location: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<(), getrandom::Error> {
        let nonce = push_random::<24>(out)?;
        let (mut stream, authenticator) = self.begin(&nonce);
        let tag_at = out.len();
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(plain);
        let (tag, ciphertext) = out[tag_at..].split_at_mut(16);
        stream.apply_keystream(ciphertext);
        tag.copy_from_slice(&authenticator.compute_unpadded(ciphertext));
        Ok(())
    }

    fn decrypt(&self, _location: &[u8], encrypted: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = encrypted.split_first_chunk::<24>()?;
        let (tag, ciphertext) = rest.split_first_chunk::<16>()?;
        let (mut stream, authenticator) = self.begin(nonce);
        if !bool::from(authenticator.compute_unpadded(ciphertext).ct_eq(tag.as_slice())) {
            return None;
        }
        let mut value = ciphertext.to_vec();
        stream.apply_keystream(&mut value);
        Some(value)
    }
}

#[cfg(test)]
mod tests;
