<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * The containers of the mesh that are registered for a service.
 * @implements Command<list<\Coolify\Coold\Data\ServiceEndpoint>>
 */
final readonly class ServicesEndpoints implements Command
{
    /** @param string $id The id of the service: `service_id` of services.register. */
    public function __construct(
        public string $id,
    ) {
    }

    public function type(): string
    {
        return 'services.endpoints';
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

    public function read(mixed $data): array
    {
        return array_map(\Coolify\Coold\Data\ServiceEndpoint::from(...), $data);
    }
}
