use crate::{testing::*, *};

#[test]
fn a_chain_of_rotations_holds() {
    let chain = chain(3);
    assert_eq!(chain.generation(), Generation(3));
    assert_eq!(chain.key(), &identity(3).public());
    assert_eq!(chain.device(), &identity(0).public());
}
