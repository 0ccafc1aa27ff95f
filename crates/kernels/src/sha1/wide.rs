//! The 80 rounds over vectors that hold one word of every lane.

/// Takes one block of every lane into `$state`, an array of five vectors. `$w` is an array of the
/// sixteen words of the block, which is used up.
///
/// Functions of these names are in scope where it is used: `add`, `rotate`, `xor4`, `splat`,
/// `choose`, `parity` and `majority`. Every round stands for itself, since in a loop the words
/// would live in memory. `$between` is a macro that stands after every five rounds, and takes how
/// many times it has stood there before: work on the next block that may fill idle units. Source:
/// FIPS 180-4, 6.1.2.
macro_rules! rounds {
    ($state:expr, $w:expr, $between:ident) => {{
        let [mut a, mut b, mut c, mut d, mut e] = $state;
        let w = &mut $w;
        macro_rules! round {
            ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $k:ident $t:expr) => {
                if $t >= 16 {
                    w[$t % 16] = rotate::<1>(xor4(
                        w[($t + 13) % 16],
                        w[($t + 8) % 16],
                        w[($t + 2) % 16],
                        w[$t % 16],
                    ));
                }
                $e = add(add($e, add(w[$t % 16], $k)), add($f($b, $c, $d), rotate::<5>($a)));
                $b = rotate::<30>($b);
            };
        }
        macro_rules! five {
            ($f:ident $k:ident $t:expr) => {
                round!(a b c d e $f $k $t);
                round!(e a b c d $f $k $t + 1);
                round!(d e a b c $f $k $t + 2);
                round!(c d e a b $f $k $t + 3);
                round!(b c d e a $f $k $t + 4);
            };
        }
        macro_rules! twenty {
            ($f:ident $k:literal $t:expr, $n0:tt $n1:tt $n2:tt $n3:tt) => {
                let k = splat($k);
                five!($f k $t);
                $between!($n0);
                five!($f k $t + 5);
                $between!($n1);
                five!($f k $t + 10);
                $between!($n2);
                five!($f k $t + 15);
                $between!($n3);
            };
        }
        twenty!(choose 0x5a82_7999 0, 0 1 2 3);
        twenty!(parity 0x6ed9_eba1 20, 4 5 6 7);
        twenty!(majority 0x8f1b_bcdc 40, 8 9 10 11);
        twenty!(parity 0xca62_c1d6 60, 12 13 14 15);
        let [a0, b0, c0, d0, e0] = $state;
        [add(a, a0), add(b, b0), add(c, c0), add(d, d0), add(e, e0)]
    }};
}

pub(super) use rounds;
