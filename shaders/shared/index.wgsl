// Where an invocation stands in a launch of any size.
//
// A launch of more workgroups than one axis allows is folded into rows; the linear index is
// restored here.

// Where an invocation stands; with subgroups also where it stands in its subgroup.
struct At {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @if(SUBGROUPS) @builtin(subgroup_invocation_id) lane: u32,
    @if(SUBGROUPS) @builtin(subgroup_id) subgroup: u32,
    @if(SUBGROUPS) @builtin(num_subgroups) subgroups: u32,
}

// The linear index of this workgroup in a grid folded over x and y.
fn group_index(at: At) -> u32 {
    return at.group.x + at.group.y * at.groups.x;
}

// The linear index of this invocation in a grid of one-dimensional workgroups.
fn item_index(at: At, size: u32) -> u32 {
    return group_index(at) * size + at.local;
}
