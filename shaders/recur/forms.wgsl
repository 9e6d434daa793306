// The forms of all parameters of a cell, two bits each (shared/forms.wgsl).

override FORMS: u32 = 0u;

fn form_of(which: u32) -> u32 {
    return (FORMS >> (2u * which)) & 3u;
}
