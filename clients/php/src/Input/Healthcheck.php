<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Input;

/** Times: seconds, or text such as "5s" or "1m30s". */
final readonly class Healthcheck
{
    /**
     * @param list<string> $test ["CMD", program, argument…], ["CMD-SHELL", line] or ["NONE"].
     * @param int|float|string|null $interval Between two checks: 30 s when absent, at least 0.1 s; 0: only when it is
     * asked for.
     * @param int|float|string|null $timeout For one check: 30 s when absent, at least 1 s.
     * @param int|null $retries So many checks in a row have to fail before the container is unhealthy; 3 when absent
     * or 0.
     * @param int|float|string|null $startPeriod Checks that fail within this time of the start do not count; absent:
     * all count.
     */
    public function __construct(
        public array $test,
        public int|float|string|null $interval = null,
        public int|float|string|null $timeout = null,
        public ?int $retries = null,
        public int|float|string|null $startPeriod = null,
    ) {
    }

    /** @return array<string, mixed> what is given, as JSON has it */
    public function fields(): array
    {
        return array_filter([
            'test' => array_values($this->test),
            'interval' => $this->interval,
            'timeout' => $this->timeout,
            'retries' => $this->retries,
            'start_period' => $this->startPeriod,
        ], static fn (mixed $value): bool => $value !== null);
    }
}
