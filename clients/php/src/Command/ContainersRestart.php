<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Stops a container, killing it after `timeout` seconds, and starts it, after its bind sources were checked again.
 * @implements Command<null>
 */
final readonly class ContainersRestart implements Command
{
    /**
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @param int|null $timeout Seconds until it is killed; the container's own stop_timeout when absent.
     */
    public function __construct(
        public string $id,
        public ?int $timeout = null,
    ) {
    }

    public function type(): string
    {
        return 'containers.restart';
    }

    public function fields(): array
    {
        return array_filter([
            'id' => $this->id,
            'timeout' => $this->timeout,
        ], static fn (mixed $value): bool => $value !== null);
    }

    public function deadline(): ?float
    {
        return (float) min(($this->timeout ?? 10) + 5, 305);
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
