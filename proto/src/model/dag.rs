//! The order of steps: a topological order of `needs`, or the cycle that forbids one.

/// The order in which steps can run: each after those it needs, otherwise as given. `needs[i]` are the indices that `i` needs.
///
/// `Err` holds a shortest-found cycle, each step needing the next and the last needing the first.
pub(crate) fn order(needs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut ordered = Vec::with_capacity(needs.len());
    let mut placed = vec![false; needs.len()];
    while ordered.len() < needs.len() {
        let ready =
            (0..needs.len()).find(|step| !placed[*step] && needs[*step].iter().all(|need| placed[*need]));
        match ready {
            Some(step) => {
                placed[step] = true;
                ordered.push(step);
            }
            None => return Err(cycle(needs, &placed)),
        }
    }
    Ok(ordered)
}

/// Every step not placed needs another that is not placed, so following them must come back.
fn cycle(needs: &[Vec<usize>], placed: &[bool]) -> Vec<usize> {
    let mut path: Vec<usize> = Vec::new();
    let mut step = placed.iter().position(|placed| !placed).expect("called while a step is not placed");
    loop {
        if let Some(start) = path.iter().position(|earlier| *earlier == step) {
            return path.split_off(start);
        }
        path.push(step);
        step = *needs[step]
            .iter()
            .find(|need| !placed[**need])
            .expect("a step is not ready only for such a need");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn orders_and_cycles() {
        assert_eq!(order(&[]), Ok(vec![]));
        assert_eq!(order(&[vec![], vec![], vec![]]), Ok(vec![0, 1, 2]));
        assert_eq!(order(&[vec![2], vec![0], vec![]]), Ok(vec![2, 0, 1]));
        assert_eq!(order(&[vec![0]]), Err(vec![0]));
        assert_eq!(order(&[vec![1], vec![0]]), Err(vec![0, 1]));
        assert_eq!(order(&[vec![1], vec![2], vec![3], vec![1]]), Err(vec![1, 2, 3]));
    }

    proptest! {
        #[test]
        fn an_order_respects_needs_and_a_cycle_is_one(
            needs in (1usize..20).prop_flat_map(|n| prop::collection::vec(prop::collection::vec(0..n, 0..3), n))
        ) {
            match order(&needs) {
                Ok(ordered) => {
                    prop_assert_eq!(ordered.len(), needs.len());
                    for (position, step) in ordered.iter().enumerate() {
                        prop_assert!(needs[*step].iter().all(|need| ordered[..position].contains(need)));
                    }
                }
                Err(cycle) => {
                    for (position, step) in cycle.iter().enumerate() {
                        prop_assert!(needs[*step].contains(&cycle[(position + 1) % cycle.len()]));
                    }
                }
            }
        }
    }
}
