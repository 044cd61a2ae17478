<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

/** Counts since coold started. */
final readonly class DnsStatsAnswer
{
    /**
     * @param int $queries Queries that came in.
     * @param array<string, int> $byRcode Answers by rcode, such as "NOERROR".
     * @param array<string, int> $byNamespace By the namespace whose gateway was asked.
     * @param int $forwarded To the upstream.
     * @param int $forwardErrors Queries to the upstream that found no answer in time, no way there, or too many
     * waiting.
     * @param list<\Coolify\Coold\Data\DnsListener> $listeners Where it listens.
     * @param \Coolify\Coold\Data\DnsDirectory|null $directory What it answers from.
     */
    public function __construct(
        public int $queries,
        public array $byRcode,
        public array $byNamespace,
        public int $forwarded,
        public int $forwardErrors,
        public array $listeners,
        public ?\Coolify\Coold\Data\DnsDirectory $directory,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['queries'] ?? 0,
            $data['by_rcode'] ?? [],
            $data['by_namespace'] ?? [],
            $data['forwarded'] ?? 0,
            $data['forward_errors'] ?? 0,
            array_map(\Coolify\Coold\Data\DnsListener::from(...), $data['listeners'] ?? []),
            isset($data['directory']) ? \Coolify\Coold\Data\DnsDirectory::from($data['directory']) : null,
        );
    }
}
