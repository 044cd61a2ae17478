<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

/** The containers of the mesh, as this host knows them. */
final readonly class DnsDirectory
{
    /**
     * @param int $rows Containers that it knows.
     * @param int $ageMs For how long the rows may have been out of date.
     * @param bool $connected Changes are being told as they happen.
     * @param int $resubscriptions How often it had to ask for everything again.
     */
    public function __construct(
        public int $rows,
        public int $ageMs,
        public bool $connected,
        public int $resubscriptions,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['rows'] ?? 0,
            $data['age_ms'] ?? 0,
            $data['connected'] ?? false,
            $data['resubscriptions'] ?? 0,
        );
    }
}
