<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Lets a container of this host answer for a service no more.
 * @implements Command<null>
 */
final readonly class ServicesUnregister implements Command
{
    /**
     * @param string $id The id of the service: `service_id` of services.register.
     * @param string $containerId The container, by its id or its name.
     */
    public function __construct(
        public string $id,
        public string $containerId,
    ) {
    }

    public function type(): string
    {
        return 'services.unregister';
    }

    public function fields(): array
    {
        return array_filter([
            'id' => $this->id,
            'container_id' => $this->containerId,
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

    public function read(mixed $data): mixed
    {
        return null;
    }
}
