//! Neither the order of traces nor a repeated one changes what is found.

use proptest::prelude::*;
use throughline_model::SpanId;
use throughline_testkit::{Rng, Span};
use throughline_topology::doctor::{Options, diagnose};

use crate::world::{NOW, World, answer, call};

/// Requests of a few services: some keep their context, some lose it in one way or another.
fn requests(rng: &mut Rng) -> Vec<Span> {
    const SERVICES: [(&str, &str); 3] =
        [("shop", "shop.local"), ("stock", "stock.local"), ("mail", "mail.local")];
    let mut spans = Vec::new();
    for n in 0..60 {
        let (to, host) = SERVICES[rng.below(3) as usize];
        let from = call(n, if rng.below(4) == 0 { "web" } else { "mobile" }, host);
        let answer = answer(n, to, host);
        let callee = match rng.below(6) {
            0 => answer.child_of(&from),
            1 => Span { parent_id: from.span_id, ..answer },
            2 => Span { parent_id: SpanId(rng.below(u64::MAX).to_be_bytes()), ..answer },
            3 => {
                let text = format!("{}-{}-1", from.trace_id, from.span_id);
                answer.attr("http.request.header.b3", text)
            }
            4 => {
                let receipt = format!("kinesis|us-east-1|stream|{n}");
                let send = from.clone().id(9_000 + n).child_of(&from);
                spans.push(send.attr("stitch.out", receipt.clone()));
                answer.attr("stitch.in", receipt)
            }
            _ => answer,
        };
        spans.extend([from, callee]);
    }
    spans
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_any_repetition_give_the_same_report(seed in 0..1_000_000_u64) {
        let mut rng = Rng::new(seed);
        let world = World::of(&requests(&mut rng));
        let first = world.report();
        prop_assert!(first.findings.len() > 3);
        for _ in 0..3 {
            let mut batches: Vec<_> = world.batches().collect();
            for at in (1..batches.len()).rev() {
                batches.swap(at, rng.below(at as u64 + 1) as usize);
            }
            let again = diagnose(batches.iter().copied(), &world, &Options::at(NOW)).unwrap();
            prop_assert_eq!(&again, &first);
            let twice = batches.iter().chain(&batches).copied();
            let twice = diagnose(twice, &world, &Options::at(NOW)).unwrap();
            prop_assert_eq!(&twice, &first);
        }
    }
}
