<?php
declare(strict_types=1);

namespace Coolify\Coold\Http;

/** An answer that comes as lines, and input that is sent beside it. */
interface Lines
{
    /**
     * The next line, without its newline; null: there is no other.
     *
     * @param float|null $timeoutSeconds how long to wait; null: for ever
     * @throws \Coolify\Coold\Exception\Disconnected the answer broke off
     * @throws \Coolify\Coold\Exception\Silent nothing came in time
     */
    public function next(?float $timeoutSeconds): ?string;

    /** The status of HTTP; 0 as long as it is not there. */
    public function status(): int;

    /** Whether a call that was posted is still under way; output goes on to be taken meanwhile. */
    public function isPosting(): bool;

    /** Posts lines to another path, while this answer goes on. Its own answer is seen by `posted`. */
    public function post(string $path, string $lines): void;

    /** The answer of a call that was posted, once; null: none has ended since. */
    public function posted(): ?Answer;

    /** Hangs up. Again, nothing happens. */
    public function close(): void;
}
