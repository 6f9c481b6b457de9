# `just` lists these. `just check` is exactly what CI runs.

default:
    @just --list

# everything that CI checks
check:
    ./scripts/test

# formatting, lints, tests without a broker
quick:
    ./scripts/test quick

# the story of the sandbox, once
sandbox:
    cargo run --release -- sandbox --once

# licences and advisories (needs cargo-deny)
deny:
    cargo deny check

# breaks rule after rule of two masters and shows which simulated world finds it
mutants *numbers:
    scripts/mutants {{numbers}}
