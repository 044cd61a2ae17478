<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Data;

final readonly class PodmanInfo
{
    /**
     * @param string $version The version of Podman.
     * @param string $storageDriver For example "overlay".
     * @param string $graphRoot The folder of its storage.
     * @param string $networkBackend For example "netavark".
     * @param string $cgroupVersion For example "v2".
     */
    public function __construct(
        public string $version,
        public string $storageDriver,
        public string $graphRoot,
        public string $networkBackend,
        public string $cgroupVersion,
    ) {
    }

    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
            $data['version'] ?? '',
            $data['storage_driver'] ?? '',
            $data['graph_root'] ?? '',
            $data['network_backend'] ?? '',
            $data['cgroup_version'] ?? '',
        );
    }
}
