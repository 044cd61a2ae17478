<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Containers of the host by name, filtered and paged, with labels, ports and addresses.
 * @implements Command<list<\Coolify\Coold\Data\ListedContainer>>
 */
final readonly class ContainersList implements Command
{
    /**
     * @param string|null $name Exactly this name.
     * @param list<string>|null $label "key" or "key=value"; all of them.
     * @param string|null $state As podman says it, for example "running".
     * @param string|null $namespace Those on a network of this namespace.
     * @param int|null $limit At most so many, 1 to 1000; fewer where they would be over 3 MiB. All when absent.
     * @param string|null $after The name that the last page ended with. The page after the last is empty.
     */
    public function __construct(
        public ?string $name = null,
        public ?array $label = null,
        public ?string $state = null,
        public ?string $namespace = null,
        public ?int $limit = null,
        public ?string $after = null,
    ) {
    }

    public function type(): string
    {
        return 'containers.list';
    }

    public function fields(): array
    {
        return array_filter([
            'name' => $this->name,
            'label' => $this->label === null ? null : array_values($this->label),
            'state' => $this->state,
            'namespace' => $this->namespace,
            'limit' => $this->limit,
            'after' => $this->after,
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
        return array_map(\Coolify\Coold\Data\ListedContainer::from(...), $data);
    }
}
