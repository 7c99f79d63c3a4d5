//! The jail alone, for its own tests; everybody else starts it as `kiln` under the name `kiln-jail`.

fn main() {
    kiln_jail::run_jail()
}
