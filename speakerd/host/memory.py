"""The memory of the process, in which the secret lies."""

import resource


def keep_out_of_core_files() -> None:
    """Let no core file be made of this process and those that it starts: whoever is sent one would have the key.

    A limit of 0 is known to everybody, but only files keep to it: the kernel asks a program such as systemd-coredump
    or apport all the same, and these keep what they like. A limit of 1 stops both (core(5) and do_coredump() in
    the kernel). Memory that cannot be dumped at all (PR_SET_DUMPABLE) would also keep our own user from looking at
    /proc/PID, which is how descriptors and memory are counted.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most != 0:  # which could only be raised by root, and leaves nothing to lower
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
