// Where an invocation stands in a launch of any size.
//
// A launch of more workgroups than one axis allows is folded into rows; the linear index is
// restored here.

// Where an invocation stands.
struct At {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
}

// Where a workgroup stands, the same for all of its invocations. Shaders with barriers take this, and
// what tells invocations apart as arguments of its own: compilers look at a struct as a whole, and would
// find branches on it to differ between invocations.
struct Group {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
}

// The linear index of this workgroup in a grid folded over x and y.
fn group_index(at: Group) -> u32 {
    return at.group.x + at.group.y * at.groups.x;
}

// The linear index of this invocation in a grid of one-dimensional workgroups.
fn item_index(at: At, size: u32) -> u32 {
    return group_index(Group(at.group, at.groups)) * size + at.local;
}
