<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Lets a container of this host answer for a service; again, when it does already.
 * @implements Command<\Coolify\Coold\Data\ServiceRegistration>
 */
final readonly class ServicesRegister implements Command
{
    /**
     * @param string $serviceId The id of the service, as the caller calls it.
     * @param string $name A DNS label: the container answers under <name>.<namespace>.<zone>, beside its own name.
     * @param string $namespace A DNS label.
     * @param string $containerId One of this host.
     * @param int|null $port Where it serves; for callers only.
     */
    public function __construct(
        public string $serviceId,
        public string $name,
        public string $namespace,
        public string $containerId,
        public ?int $port = null,
    ) {
    }

    public function type(): string
    {
        return 'services.register';
    }

    public function fields(): array
    {
        return array_filter([
            'service_id' => $this->serviceId,
            'name' => $this->name,
            'namespace' => $this->namespace,
            'container_id' => $this->containerId,
            'port' => $this->port,
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

    public function read(mixed $data): \Coolify\Coold\Data\ServiceRegistration
    {
        return \Coolify\Coold\Data\ServiceRegistration::from($data);
    }
}
