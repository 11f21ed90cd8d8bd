//! jemalloc's options that must be known before its first allocation. It looks for them in a C string that a variable of
//! the name `malloc_conf` points to.
//!
//! Huge pages: the hot records of a busy server are spread over more memory than the processor has addresses for in its
//! translation caches; what pages of 2 MiB gained is in docs/decisions/0007.
//!
//! Why the `unsafe` is sound: an exported name may clash with another definition of it; jemalloc's own is weak, made to
//! be replaced, and nothing else in this binary defines one. A reference to an array has the layout of the `const char *`
//! that jemalloc reads; the array ends with the zero byte that C wants, and is never written.
#![expect(unsafe_code, reason = "the name is exported for the allocator, see above")]

const OPTIONS: &[u8; 11] = b"thp:always\0";

#[unsafe(export_name = "malloc_conf")]
static MALLOC_CONF: &[u8; 11] = OPTIONS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_are_one_c_string() {
        assert_eq!(OPTIONS.iter().position(|byte| *byte == 0), Some(OPTIONS.len() - 1));
        assert_eq!(MALLOC_CONF, OPTIONS);
    }
}
