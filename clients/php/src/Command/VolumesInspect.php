<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * One volume.
 * @implements Command<\Coolify\Coold\Data\Volume>
 */
final readonly class VolumesInspect implements Command
{
    /** @param string $name The full name of the volume. */
    public function __construct(
        public string $name,
    ) {
    }

    public function type(): string
    {
        return 'volumes.inspect';
    }

    public function fields(): array
    {
        return array_filter([
            'name' => $this->name,
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
