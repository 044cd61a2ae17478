<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Creates a volume, or returns the one that is there.
 * @implements Command<\Coolify\Coold\Data\Volume>
 */
final readonly class VolumesCreate implements Command
{
    /**
     * @param string $name The name of the volume.
     * @param string|null $driver "local" when empty.
     * @param array<string, string>|null $labels Labels by key.
     */
    public function __construct(
        public string $name,
        public ?string $driver = null,
        public ?array $labels = null,
    ) {
    }

    public function type(): string
    {
        return 'volumes.create';
    }

    public function fields(): array
    {
        return array_filter([
            'name' => $this->name,
            'driver' => $this->driver,
            'labels' => $this->labels === null ? null : (object) $this->labels,
        ], static fn (mixed $value): bool => $value !== null);
    }

    public function deadline(): ?float
    {
        return null;
    }

    public function worksAnew(): bool
    {
        return false;
    }

    public function read(mixed $data): \Coolify\Coold\Data\Volume
    {
        return \Coolify\Coold\Data\Volume::from($data);
    }
}
