/**
 * The longest life of a write that no process waits for any more: it may lie in the network, or in the kernel of the
 * machine that its process ran on, and be carried out when it arrives (docs/design.md, "Convergence", rule 9).
 *
 * Linux sends what a process that was killed has left for the last time 255 times the retransmission timeout after the
 * first: 51 s where answers take a few milliseconds (net.ipv4.tcp_orphan_retries). An event comes again 20 s after its
 * holder's death at the soonest, and that is added.
 */
export const LATE_WRITE_SECONDS = 65;
