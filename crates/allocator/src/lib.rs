//! The allocator of programs that stream much and then are idle for long: the system's gives memory back late and costs twice
//! the time; mimalloc's third version keeps what is free for a second, which is most of what a backup's run has at its
//! height, and a tenth or more of what an idle node has. Here it is told to give it back at once. It must never do anything
//! else: this is the only crate with `unsafe` in it, for the one call that no safe wrapper has.

pub use mimalloc::MiMalloc as Allocator;

/// `mi_option_purge_delay` of mimalloc's `mi_option_e`, which the bindings do not name; a test holds it against the default
/// value that it alone has.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// In milliseconds, so that what is freed and taken again at once stays.
const SOON: std::ffi::c_long = 1;

/// Has free memory given back to the system within milliseconds. To be called once, when a program begins.
pub fn give_back_soon() {
    #[expect(
        unsafe_code,
        reason = "an atomic write to an option of the allocator, which takes any value at any time"
    )]
    // SAFETY: no pointer is passed; the option exists in this version, and any value of it is sound.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, SOON);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_this_option_that_is_set() {
        #[expect(unsafe_code, reason = "as above")]
        // SAFETY: reads an option.
        let get = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(get(), 1000, "the version that we link counts its options otherwise");
        give_back_soon();
        assert_eq!(get(), SOON);
    }
}
