//! The jail as a program of its own, for this crate's tests: everybody else starts `kiln` under the name `kiln-jail`.

fn main() {
    kiln_jail::run_jail()
}
