// Items: what one invocation of an elementwise kernel moves. Four elements with the condition
// VEC, one without it (where the number of elements is no multiple of four).

@if(VEC) alias Item = vec4<f32>;
@if(!VEC) alias Item = f32;
