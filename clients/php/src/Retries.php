<?php
declare(strict_types=1);

namespace Coolify\Coold;

use Coolify\Coold\Exception\CooldException;
use Coolify\Coold\Exception\Disconnected;

/**
 * When a request is repeated, always with the same request_id: work that is still under way is joined, and an answer that came
 * too late is found again (docs/laravel.md).
 */
final readonly class Retries
{
    /** The host, or the way to it, is away for a moment; the work may have begun. */
    private const PASSING = [
        'host_disconnected', 'host_stopping', 'dispatch_timeout', 'peer_unreachable', 'broker_stopping', 'unavailable',
        'podman_unavailable', 'corrosion_unavailable',
    ];

    /** The same, and the host has surely not begun. */
    private const NOT_BEGUN = [
        'host_place_unknown', 'host_not_reading', 'host_busy', 'host_starting', 'broker_full',
    ];

    /**
     * @param int $attempts how often a request is made at the most
     * @param float $totalSeconds no attempt begins later than this after the first
     * @param float $firstWaitSeconds before the second attempt; each later wait is twice as long, with jitter
     */
    public function __construct(
        public int $attempts = 8,
        public float $totalSeconds = 60.0,
        public float $firstWaitSeconds = 0.2,
        public float $mostWaitSeconds = 5.0,
    ) {
    }

    public static function none(): self
    {
        return new self(attempts: 1);
    }

    /**
     * Does the work, again where its failure passes by itself.
     *
     * @template T
     * @param callable(): T $work
     * @return T
     */
    public function run(callable $work, bool $worksAnew = false): mixed
    {
        $begun = microtime(true);
        for ($attempt = 1; ; $attempt++) {
            try {
                return $work();
            } catch (CooldException | Disconnected $error) {
                $wait = $this->waitAfter($attempt);
                $isLate = microtime(true) - $begun + $wait > $this->totalSeconds;
                if ($attempt >= $this->attempts || $isLate || !self::passes($error, $worksAnew, $attempt)) {
                    throw $error;
                }
                usleep((int) ($wait * 1e6));
            }
        }
    }

    private static function passes(CooldException|Disconnected $error, bool $worksAnew, int $attempt): bool
    {
        if ($error instanceof Disconnected) {
            return $error->isUnsent || !$worksAnew;
        }
        if (in_array($error->reason, self::NOT_BEGUN, true)) {
            return true;
        }
        // The attempt before is still under way, though its connection is gone.
        $isOwn = $attempt > 1 && $error->reason === 'request_id_in_flight';
        return !$worksAnew && ($isOwn || in_array($error->reason, self::PASSING, true));
    }

    private function waitAfter(int $attempt): float
    {
        $whole = min($this->firstWaitSeconds * 2 ** ($attempt - 1), $this->mostWaitSeconds);
        return $whole * (0.5 + mt_rand() / mt_getrandmax() / 2);
    }
}
