<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * The host: load, memory, disk, Podman, and the peers of its mesh.
 * @implements Command<\Coolify\Coold\Data\HostInfoAnswer>
 */
final readonly class HostInfo implements Command
{

    public function type(): string
    {
        return 'host.info';
    }

    public function fields(): array
    {
        return [];
    }

    public function deadline(): ?float
    {
        return null;
    }

    public function worksAnew(): bool
    {
        return false;
    }

    public function read(mixed $data): \Coolify\Coold\Data\HostInfoAnswer
    {
        return \Coolify\Coold\Data\HostInfoAnswer::from($data);
    }
}
