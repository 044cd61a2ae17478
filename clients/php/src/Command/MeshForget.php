<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Removes the rows of a host that is gone for good.
 * @implements Command<null>
 */
final readonly class MeshForget implements Command
{
    /**
     * @param string $hostMgmtIp The host's address in the mesh. It has to be gone: not seen for COOLD_HOST_TTL, or
     * without a peer in WireGuard.
     */
    public function __construct(
        public string $hostMgmtIp,
    ) {
    }

    public function type(): string
    {
        return 'mesh.forget';
    }

    public function fields(): array
    {
        return array_filter([
            'host_mgmt_ip' => $this->hostMgmtIp,
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
