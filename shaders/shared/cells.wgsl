// Cells: what one invocation of an elementwise kernel moves. Four elements with the condition
// `wide`, one without it (where the number of elements is no multiple of four).

@if(wide) alias Cell = vec4<f32>;
@if(!wide) alias Cell = f32;
