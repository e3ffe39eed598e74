//! The program's allocator: how much memory the system is asked for, by which pages, and when it gets it back.
//!
//! - Small allocations are mimalloc's, built so that it asks for no huge pages (`no_thp`): a huge page under a few small
//!   objects makes 60 MiB of what takes 3. Its run-time option `allow_thp` would do so too, and deny huge pages to the
//!   whole process (`PR_SET_THP_DISABLE`), those under the data included.
//! - Allocations of [`MAPPED_LENGTH_MIN`] and more, which are the data's, are mappings of their own: what is freed is the
//!   system's again at once, growing moves pages instead of copying bytes, so that there are never two of it, and from
//!   [`HUGE_LENGTH_MIN`] on they ask for huge pages, since look-ups in them are at random.
//! - Where the system gives huge pages to all who do not refuse them (`transparent_hugepage/enabled` is `always`), mimalloc's
//!   memory refuses them, from before the first allocation.
//!
//! mimalloc keeps freed memory for a second, and looks at the clock only when it is used again, which in a server at
//! rest is never; so [`give_back`] is called when a load has ended.

#![allow(unsafe_code)] // An allocator is unsafe by its interface, and maps memory; each block says why it is sound.

use std::alloc::{GlobalAlloc, Layout};

use mimalloc::MiMalloc;

/// From this length on, in bytes, an allocation is a mapping of its own.
pub const MAPPED_LENGTH_MIN: usize = 1 << 20;

/// From this length on, in bytes, an allocation asks for huge pages, of which the last may be filled in part only.
pub const HUGE_LENGTH_MIN: usize = 16 << 20;

/// The allocator of the program.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocator;

// SAFETY: a layout is served by one of the two, which depends on nothing but its size (and alignment), so that what one
// has allocated is never given to the other. Both uphold the contract by themselves.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout) {
            return mapped::map(layout.size());
        }
        // SAFETY: the caller's promise is handed on.
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout) {
            // A new mapping is zero.
            return mapped::map(layout.size());
        }
        // SAFETY: the caller's promise is handed on.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if is_mapped(layout) {
            // SAFETY: `alloc` has mapped what has such a layout, and the caller has no more use for it.
            unsafe { mapped::unmap(pointer, layout.size()) };
        } else {
            // SAFETY: the caller's promise is handed on.
            unsafe { MiMalloc.dealloc(pointer, layout) };
        }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller sees to it that the size, rounded up to the alignment, does not overflow.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (is_mapped(layout), is_mapped(new)) {
            // SAFETY: the caller's promise is handed on.
            (false, false) => unsafe { MiMalloc.realloc(pointer, layout, size) },
            // SAFETY: `alloc` has mapped what has such a layout.
            (true, true) => unsafe { mapped::remap(pointer, layout.size(), size) },
            // SAFETY: the caller's promise is handed on.
            _ => unsafe { self.move_over(pointer, layout, new) },
        }
    }
}

impl Allocator {
    /// From one way of allocating to the other.
    #[cold]
    unsafe fn move_over(&self, pointer: *mut u8, old: Layout, new: Layout) -> *mut u8 {
        // SAFETY: a size that is reallocated to is not zero.
        let moved = unsafe { self.alloc(new) };
        if !moved.is_null() {
            // SAFETY: both are valid for the smaller of their sizes, and the new one overlaps nothing.
            unsafe { moved.copy_from_nonoverlapping(pointer, old.size().min(new.size())) };
            // SAFETY: the caller gives up what it reallocates, if that succeeds.
            unsafe { self.dealloc(pointer, old) };
        }
        moved
    }
}

/// Whether a layout is served by a mapping of its own.
#[inline]
fn is_mapped(layout: Layout) -> bool {
    // A mapping begins at a page, which is the least alignment that every system has.
    const ALIGNMENT_MAX: usize = 4096;
    cfg!(all(target_os = "linux", not(miri))) && layout.size() >= MAPPED_LENGTH_MIN && layout.align() <= ALIGNMENT_MAX
}

/// Gives what has been freed back to the system, all of it and now. It takes milliseconds: for when a load has ended.
pub fn give_back() {
    #[cfg(not(miri))]
    // SAFETY: it may be called by any thread at any time.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
    // The C library's own allocator has been zstd's, which keeps the tables of a level in it.
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    {
        unsafe extern "C" {
            safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // What it returns is whether there was something to give back.
        let _ = malloc_trim(0);
    }
}

/// Allocations that are mappings.
#[cfg(all(target_os = "linux", not(miri)))]
mod mapped {
    use std::ffi::c_void;
    use std::ptr::{null_mut, with_exposed_provenance_mut};

    use rustix::mm::{Advice, MapFlags, MremapFlags, ProtFlags, madvise, mmap_anonymous, mremap, mremap_fixed, munmap};

    use super::HUGE_LENGTH_MIN;

    /// The length of a huge page, in bytes: 2 MiB on x86-64 and on AArch64 with pages of 4 KiB.
    const HUGE_PAGE: usize = 2 << 20;

    /// Maps so many bytes of zeros; null if the system has none.
    #[cold]
    pub(super) fn map(size: usize) -> *mut u8 {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        if size < HUGE_LENGTH_MIN {
            // SAFETY: the system chooses a place where nothing is.
            return unsafe { mmap_anonymous(null_mut(), size, access, MapFlags::PRIVATE) }
                .map_or(null_mut(), <*mut c_void>::cast);
        }
        let Some(place) = aligned_place(size, access) else {
            return null_mut();
        };
        advise(place, size);
        place.cast()
    }

    /// # Safety
    ///
    /// `map` or `remap` has returned the pointer for this size, and nobody uses it any more.
    #[cold]
    pub(super) unsafe fn unmap(pointer: *mut u8, size: usize) {
        // SAFETY: the caller's promise. It fails only where a mapping is split in two of which there are too many.
        let _ = unsafe { munmap(pointer.cast(), size) };
    }

    /// Moves pages, not bytes. Null if the system has no memory; then the old mapping is as it was.
    ///
    /// # Safety
    ///
    /// As of `unmap`.
    #[cold]
    pub(super) unsafe fn remap(pointer: *mut u8, size: usize, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise; where it cannot grow in place it fails.
        let stayed = unsafe { mremap(pointer.cast(), size, new_size, MremapFlags::empty()) };
        if stayed.is_ok() {
            if new_size > size && new_size >= HUGE_LENGTH_MIN {
                advise(pointer.cast(), new_size);
            }
            return pointer;
        }
        if new_size < HUGE_LENGTH_MIN {
            // SAFETY: the caller's promise; it may move, and nobody has another pointer to it.
            return unsafe { mremap(pointer.cast(), size, new_size, MremapFlags::MAYMOVE) }
                .map_or(null_mut(), <*mut c_void>::cast);
        }
        let Some(place) = aligned_place(new_size, ProtFlags::empty()) else {
            return null_mut();
        };
        // SAFETY: the caller's promise for the old; the new place is this function's own, and is replaced.
        match unsafe { mremap_fixed(pointer.cast(), size, new_size, MremapFlags::MAYMOVE, place) } {
            Ok(moved) => {
                advise(moved, new_size);
                moved.cast()
            }
            Err(_) => {
                // SAFETY: nobody has been given it.
                let _ = unsafe { munmap(place, new_size) };
                null_mut()
            }
        }
    }

    /// A new mapping that begins where a huge page can.
    pub(super) fn aligned_place(size: usize, access: ProtFlags) -> Option<*mut c_void> {
        let page = rustix::param::page_size();
        let size = size.checked_next_multiple_of(page)?;
        let reserved = size.checked_add(HUGE_PAGE)?;
        // SAFETY: the system chooses a place where nothing is.
        let start =
            unsafe { mmap_anonymous(null_mut(), reserved, access, MapFlags::PRIVATE | MapFlags::NORESERVE) }.ok()?;
        let address = start.expose_provenance();
        let aligned = address.next_multiple_of(HUGE_PAGE);
        let (before, after) = (aligned - address, reserved - size - (aligned - address));
        if before > 0 {
            // SAFETY: it is within what was just mapped, before the part that is kept.
            let _ = unsafe { munmap(start, before) };
        }
        if after > 0 {
            // SAFETY: it is within what was just mapped, after the part that is kept.
            let _ = unsafe { munmap(with_exposed_provenance_mut(aligned + size), after) };
        }
        Some(with_exposed_provenance_mut(aligned))
    }

    fn advise(place: *mut c_void, size: usize) {
        // SAFETY: it changes no byte. A system without huge pages refuses it, and nothing is lost.
        let _ = unsafe { madvise(place, size, Advice::LinuxHugepage) };
    }
}

/// What is done before the first allocation.
#[cfg(all(target_os = "linux", not(miri)))]
mod start {
    use std::ffi::{c_int, c_ulong};

    use rustix::fs::{CWD, Mode, OFlags, openat};
    use rustix::mm::{Advice, ProtFlags, madvise};

    /// The C library calls what stands here before `main`, in the program's only thread, static programs' too; mimalloc
    /// has set itself up by then, since its own constructor has a priority, and has allocated nothing. A call in `main`
    /// would be too late: the runtime allocates before.
    #[used]
    // SAFETY: a function of this type is what the section holds.
    #[unsafe(link_section = ".init_array")]
    static START: extern "C" fn() = start;

    extern "C" fn start() {
        #[cfg(target_env = "gnu")]
        map_large_of_the_c_library();
        if has_huge_pages_unasked() && !refuse_unadvised_huge_pages() {
            reserve_small_pages();
        }
    }

    /// Has the C library's allocator, whose one large user is zstd, give tables back when they are freed: else it learns by
    /// the first of them to keep such in the heap of a thread, of which only the parts before the last one are given back.
    #[cfg(target_env = "gnu")]
    fn map_large_of_the_c_library() {
        const M_MMAP_THRESHOLD: c_int = -3;
        const LENGTH: c_int = 128 << 10;
        unsafe extern "C" {
            safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        // Refused, memory is only given back later.
        let _ = mallopt(M_MMAP_THRESHOLD, LENGTH);
    }

    /// Whether the system gives huge pages to all who do not refuse them.
    fn has_huge_pages_unasked() -> bool {
        const ENABLED: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
        let mut text = [0; 64];
        let length = openat(CWD, ENABLED, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|file| rustix::io::read(&file, &mut text[..]));
        length.is_ok_and(|length| text[..length].starts_with(b"[always]"))
    }

    /// Has the process have huge pages only where it asks for them (PR_SET_THP_DISABLE with
    /// PR_THP_DISABLE_EXCEPT_ADVISED, since Linux 6.18); says whether the system can do that.
    fn refuse_unadvised_huge_pages() -> bool {
        const PR_SET_THP_DISABLE: c_int = 41;
        const PR_THP_DISABLE_EXCEPT_ADVISED: c_ulong = 1 << 1;
        unsafe extern "C" {
            fn prctl(option: c_int, ...) -> c_int;
        }
        let (yes, none): (c_ulong, c_ulong) = (1, 0);
        // SAFETY: the option takes numbers only; a system that does not know the flag refuses the call.
        let result = unsafe { prctl(PR_SET_THP_DISABLE, yes, PR_THP_DISABLE_EXCEPT_ADVISED, none, none) };
        result == 0
    }

    /// Gives mimalloc memory that refuses huge pages, as much as it would ask for at first: address space, not memory.
    fn reserve_small_pages() {
        const LENGTH: usize = 1 << 30;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let Some(place) = super::mapped::aligned_place(LENGTH, access) else {
            return;
        };
        // SAFETY: it changes no byte. A system without huge pages refuses it, and nothing is lost.
        let _ = unsafe { madvise(place, LENGTH, Advice::LinuxNoHugepage) };
        let (is_committed, is_pinned, is_zero, numa_node, is_exclusive) = (true, false, true, -1, false);
        // SAFETY: nobody else has the mapping, and it is never unmapped. It is aligned to more than a slice (64 KiB).
        unsafe {
            libmimalloc_sys::mi_manage_os_memory_ex(
                place,
                LENGTH,
                is_committed,
                is_pinned,
                is_zero,
                numa_node,
                is_exclusive,
                std::ptr::null_mut(),
            );
        }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod mapped {
    pub(super) fn map(_: usize) -> *mut u8 {
        std::ptr::null_mut()
    }

    pub(super) unsafe fn unmap(_: *mut u8, _: usize) {}

    pub(super) unsafe fn remap(_: *mut u8, _: usize, _: usize) -> *mut u8 {
        std::ptr::null_mut()
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
#[allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "the pointers of a test are used by it alone, one after the other"
)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    /// The kernel's flags of the mapping that holds an address (proc_pid_smaps(5), `VmFlags`).
    fn flags(address: *const u8) -> String {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_it = false;
        for line in smaps.lines() {
            if let Some((start, rest)) = line.split_once('-')
                && let Ok(start) = usize::from_str_radix(start, 16)
            {
                let end = usize::from_str_radix(rest.split(' ').next().unwrap(), 16).unwrap();
                is_it = (start..end).contains(&address.addr());
            } else if let Some(flags) = line.strip_prefix("VmFlags:")
                && is_it
            {
                return flags.to_owned();
            }
        }
        String::new()
    }

    #[test]
    fn bytes_stay_through_growing_and_shrinking_over_every_bound() {
        let sizes = [
            1,
            MAPPED_LENGTH_MIN - 1,
            MAPPED_LENGTH_MIN,
            MAPPED_LENGTH_MIN + 4097,
            HUGE_LENGTH_MIN - 1,
            HUGE_LENGTH_MIN + 1,
            3 * HUGE_LENGTH_MIN,
            HUGE_LENGTH_MIN,
            MAPPED_LENGTH_MIN + 1,
            100,
        ];
        let mut size = sizes[0];
        // SAFETY: the layouts follow the sizes, and each pointer is used until the next is made of it.
        unsafe {
            let mut pointer = Allocator.alloc(layout(size));
            *pointer = 7;
            for next in sizes {
                pointer = Allocator.realloc(pointer, layout(size), next);
                assert!(!pointer.is_null());
                assert_eq!(*pointer, 7, "{size} to {next}");
                // The first byte of what is new, and its last, can be written; the last that was kept is the same.
                let kept = size.min(next);
                assert!(
                    kept == 1 || next <= size || *pointer.add(kept - 1) == 9,
                    "{size} to {next}"
                );
                if next > 1 {
                    *pointer.add(next - 1) = 9;
                }
                size = next;
            }
            Allocator.dealloc(pointer, layout(size));
        }
    }

    #[test]
    fn a_large_allocation_is_zero_and_asks_for_huge_pages_and_a_smaller_one_does_not() {
        let has_huge_pages = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").is_ok();
        for (size, is_huge) in [(MAPPED_LENGTH_MIN, false), (HUGE_LENGTH_MIN, true)] {
            // SAFETY: the pointer is used before it is given back, within its size.
            unsafe {
                let pointer = Allocator.alloc_zeroed(layout(size));
                assert!((0..size).step_by(1000).all(|place| *pointer.add(place) == 0));
                let is_advised = flags(pointer).split(' ').any(|flag| flag == "hg");
                assert_eq!(is_advised, is_huge && has_huge_pages, "{size}");
                Allocator.dealloc(pointer, layout(size));
            }
        }
    }

    #[test]
    fn what_the_system_does_not_have_is_null_and_what_was_there_stays() {
        let too_much = isize::MAX as usize & !4095;
        // SAFETY: null is not used, and what it stands for leaves the old allocation as it was.
        unsafe {
            assert!(Allocator.alloc(layout(too_much)).is_null());
            let pointer = Allocator.alloc(layout(MAPPED_LENGTH_MIN));
            *pointer = 3;
            assert!(
                Allocator
                    .realloc(pointer, layout(MAPPED_LENGTH_MIN), too_much)
                    .is_null()
            );
            assert_eq!(*pointer, 3);
            Allocator.dealloc(pointer, layout(MAPPED_LENGTH_MIN));
        }
    }
}
