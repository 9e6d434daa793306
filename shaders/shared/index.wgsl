// Where an invocation stands in a launch of any size.
//
// A launch of more workgroups than one axis allows is folded into rows; the linear index is
// restored here.

// The linear index of this workgroup in a grid folded over x and y.
fn group_index(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.x + group.y * groups.x;
}

// The linear index of this invocation in a grid of one-dimensional workgroups.
fn item_index(group: vec3<u32>, groups: vec3<u32>, local: u32, size: u32) -> u32 {
    return group_index(group, groups) * size + local;
}
