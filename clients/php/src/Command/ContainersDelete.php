<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Removes a container; `force` also one that runs, killing it after `timeout` seconds.
 * @implements Command<null>
 */
final readonly class ContainersDelete implements Command
{
    /**
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @param bool|null $force Also when it runs.
     * @param int|null $timeout With force: seconds until it is killed; the container's own stop_timeout when absent.
     */
    public function __construct(
        public string $id,
        public ?bool $force = null,
        public ?int $timeout = null,
    ) {
    }

    public function type(): string
    {
        return 'containers.delete';
    }

    public function fields(): array
    {
        return array_filter([
            'id' => $this->id,
            'force' => $this->force,
            'timeout' => $this->timeout,
        ], static fn (mixed $value): bool => $value !== null);
    }

    public function deadline(): ?float
    {
        return $this->force === true ? (float) min(($this->timeout ?? 10) + 5, 305) : null;
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
