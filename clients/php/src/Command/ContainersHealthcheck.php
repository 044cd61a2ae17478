<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Runs a container's healthcheck now.
 * @implements Command<\Coolify\Coold\Data\ContainersHealthcheckAnswer>
 */
final readonly class ContainersHealthcheck implements Command
{
    /** @param string $id The container, by its full name, its id, or at least 12 digits of its id. */
    public function __construct(
        public string $id,
    ) {
    }

    public function type(): string
    {
        return 'containers.healthcheck';
    }

    public function fields(): array
    {
        return array_filter([
            'id' => $this->id,
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

    public function read(mixed $data): \Coolify\Coold\Data\ContainersHealthcheckAnswer
    {
        return \Coolify\Coold\Data\ContainersHealthcheckAnswer::from($data);
    }
}
