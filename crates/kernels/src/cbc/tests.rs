//! Every kernel that works here, beside NIST SP 800-38A and the `cbc` crate.

use ::aes::Aes256Enc;
use ::aes::cipher::{Array, BlockModeEncrypt as _, KeyIvInit as _};
use ::cbc::Encryptor;

use super::{CbcKernel, CbcPiece};
use crate::testing::Random;

fn words<const N: usize>(words: [u128; N]) -> [[u8; 16]; N] {
    words.map(u128::to_be_bytes)
}

fn array<const N: usize>(random: &mut Random) -> [u8; N] {
    random.bytes(N).try_into().unwrap()
}

/// NIST SP 800-38A F.2.5, in every lane and cut everywhere.
#[test]
fn nist_sp_800_38a() {
    let key: [u8; 32] = words([
        0x603d_eb10_15ca_71be_2b73_aef0_857d_7781,
        0x1f35_2c07_3b61_08d7_2d98_10a3_0914_dff4,
    ])
    .concat()
    .try_into()
    .unwrap();
    let iv = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f_u128.to_be_bytes();
    let plain = words([
        0x6bc1_bee2_2e40_9f96_e93d_7e11_7393_172a,
        0xae2d_8a57_1e03_ac9c_9eb7_6fac_45af_8e51,
        0x30c8_1c46_a35c_e411_e5fb_c119_1a0a_52ef,
        0xf69f_2445_df4f_9b17_ad2b_417b_e66c_3710,
    ]);
    let cipher = words([
        0xf58c_4c04_d6e5_f1ba_779e_abfb_5f7b_fbd6,
        0x9cfc_4e96_7edb_808d_679f_777b_c670_2c7d,
        0x39f2_3369_a9d9_bacf_a530_e263_0423_1461,
        0xb2eb_05e2_c39b_e9fc_da6c_1907_8c6a_9d1b,
    ]);
    for kernel in CbcKernel::all() {
        for count in [1, 2, 7, 8, 9, 15, 16, 17, 40] {
            for cut in 0..=4 {
                let mut streams: Vec<_> = (0..count).map(|_| kernel.start(&key, &iv)).collect();
                let mut data = vec![plain; count];
                for part in [0..cut, cut..4] {
                    let mut pieces: Vec<_> = streams
                        .iter_mut()
                        .zip(&mut data)
                        .map(|(stream, data)| CbcPiece { stream, blocks: &mut data[part.clone()] })
                        .collect();
                    kernel.encrypt(&mut pieces);
                }
                assert_eq!(data, vec![cipher; count], "{kernel:?} {count} {cut}");
            }
        }
    }
}

/// Any number of payloads, each with its own key, in pieces of lengths that differ wildly.
#[test]
fn agrees_with_the_cbc_crate() {
    let mut random = Random::new(7);
    for count in 0..=40 {
        let secrets: Vec<([u8; 32], [u8; 16])> =
            (0..count).map(|_| (array(&mut random), array(&mut random))).collect();
        let plain: Vec<Vec<[u8; 16]>> = (0..count)
            .map(|_| {
                let limit = [1, 5, 100, 600][random.below(4)];
                (0..random.below(limit)).map(|_| array(&mut random)).collect()
            })
            .collect();
        let mut theirs = plain.clone();
        for ((key, iv), data) in secrets.iter().zip(&mut theirs) {
            Encryptor::<Aes256Enc>::new(key.into(), iv.into())
                .encrypt_blocks(Array::cast_slice_from_core_mut(data));
        }
        let step = 1 + random.below(300);
        for kernel in CbcKernel::all() {
            let mut streams: Vec<_> =
                secrets.iter().map(|(key, iv)| kernel.start(key, iv)).collect();
            let mut ours = plain.clone();
            let longest = ours.iter().map(Vec::len).max().unwrap_or(0);
            for at in (0..longest).step_by(step) {
                let mut pieces: Vec<_> = streams
                    .iter_mut()
                    .zip(&mut ours)
                    .map(|(stream, data)| {
                        let end = data.len().min(at + step);
                        CbcPiece { stream, blocks: &mut data[at.min(end)..end] }
                    })
                    .collect();
                kernel.encrypt(&mut pieces);
            }
            assert_eq!(ours, theirs, "{kernel:?} {count} by {step}");
        }
    }
}

/// Streams that different kernels made are encrypted together by any.
#[test]
fn kernels_take_each_others_streams() {
    let mut random = Random::new(8);
    let key = array(&mut random);
    let plain: Vec<[u8; 16]> = (0..100).map(|_| array(&mut random)).collect();
    let mut theirs = plain.clone();
    Encryptor::<Aes256Enc>::new((&key).into(), &Array::default())
        .encrypt_blocks(Array::cast_slice_from_core_mut(&mut theirs));
    for kernel in CbcKernel::all() {
        let mut made: Vec<_> =
            CbcKernel::all().map(|k| (k.start(&key, &[0; 16]), plain.clone())).collect();
        let mut pieces: Vec<_> =
            made.iter_mut().map(|(stream, blocks)| CbcPiece { stream, blocks }).collect();
        kernel.encrypt(&mut pieces);
        assert!(made.iter().all(|(_, data)| *data == theirs), "{kernel:?}");
    }
}

/// One bit of one lane's key or plaintext changes that lane and no other.
#[test]
fn lanes_do_not_touch() {
    let mut random = Random::new(9);
    let keys: [[u8; 32]; 16] = std::array::from_fn(|_| array(&mut random));
    let plain: [[[u8; 16]; 20]; 16] =
        std::array::from_fn(|_| std::array::from_fn(|_| array(&mut random)));
    for kernel in CbcKernel::all() {
        let run = |keys: &[[u8; 32]; 16], mut data: [[[u8; 16]; 20]; 16]| {
            let mut streams = keys.map(|key| kernel.start(&key, &[0; 16]));
            let mut pieces: Vec<_> = streams
                .iter_mut()
                .zip(&mut data)
                .map(|(stream, blocks)| CbcPiece { stream, blocks })
                .collect();
            kernel.encrypt(&mut pieces);
            data
        };
        let before = run(&keys, plain);
        for lane in 0..16 {
            let (mut other_keys, mut other_plain) = (keys, plain);
            other_keys[lane][random.below(32)] ^= 1 << random.below(8);
            other_plain[lane][random.below(20)][random.below(16)] ^= 1 << random.below(8);
            for after in [run(&other_keys, plain), run(&keys, other_plain)] {
                for other in 0..16 {
                    assert_eq!(before[other] == after[other], other != lane, "{kernel:?}");
                }
            }
        }
    }
}

#[test]
fn streams_do_not_print() {
    for kernel in CbcKernel::all() {
        let stream = kernel.start(&[0x41; 32], &[0; 16]);
        assert_eq!(format!("{stream:?}"), "CbcStream([redacted])");
    }
}
