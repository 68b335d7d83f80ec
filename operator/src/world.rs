//! Where clusters live: the seam between the plan and whatever runs the daemons.

use crate::plan::{Observed, Plan, plan};

/// A place in which one cluster runs. Local mode is one, Kubernetes another, a simulation in tests a third.
pub trait World {
    /// Looks at everything a plan decides from. Changes nothing; what does not answer is a value in the result.
    fn observe(&mut self) -> impl Future<Output = Observed>;

    /// Carries a plan out and keeps its status and memory for the next observation. What fails shows then.
    fn apply(&mut self, plan: &Plan) -> impl Future<Output = Applied>;
}

/// How an apply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// All was done.
    Done,
    /// Something was done that cannot be undone: nothing else is decided from what was seen before it.
    ObserveAnew,
}

/// One pass: observe, plan, apply.
pub async fn pass<W: World>(world: &mut W) -> (Plan, Applied) {
    let observed = world.observe().await;
    let plan = plan(&observed);
    let applied = world.apply(&plan).await;
    (plan, applied)
}
