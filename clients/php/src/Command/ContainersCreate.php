<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Command;

/**
 * Creates a container, isolated as Podman does it by default or more.
 * @implements Command<\Coolify\Coold\Data\ContainersCreateAnswer>
 */
final readonly class ContainersCreate implements Command
{
    /**
     * @param string $image The image, by its reference or its id. It has to be on the host: see images.pull.
     * @param string $name The name, which no other container of the host has. Where it is a DNS label, it is the name
     * in DNS too.
     * @param list<string>|null $command Arguments of the entrypoint, or the program and its arguments where the image
     * has none.
     * @param list<string>|null $entrypoint The program and its first arguments.
     * @param array<string, string|int|float|bool>|null $env Variables by name. A number, true or false stands for its
     * text.
     * @param string|null $network Either one network or several.
     * @param list<string>|null $networks Names of networks; excludes `network`.
     * @param string|null $ip IPv4, on the one network.
     * @param list<string>|null $networkAliases More names on its networks; each is a DNS label, up to 16.
     * @param list<string>|null $dns On a network with a namespace its gateway, and the zone below, when absent.
     * @param list<string>|null $dnsSearch Domains that are tried behind a name.
     * @param list<\Coolify\Coold\Input\Mount>|null $mounts Volumes, folders of the host, and memory, that the
     * container sees as folders.
     * @param list<\Coolify\Coold\Input\PortMapping>|null $ports Ports that are published on the host.
     * @param \Coolify\Coold\Input\Healthcheck|null $healthcheck How Podman finds out whether the container is healthy;
     * absent: as the image says.
     * @param array<string, string>|null $labels Labels by key. Those of Podman and of coold itself are refused.
     * @param string|null $restartPolicy "no", "always", "unless-stopped", "on-failure" or "on-failure:5".
     * @param string|null $user A user, or user:group, each by name or number.
     * @param string|null $workdir An absolute path in the container without "..".
     * @param \Coolify\Coold\Input\Resources|null $resources What the container may use at the most; absent: as much as
     * there is.
     * @param string|null $stopSignal A name or a number: "SIGTERM", "15".
     * @param int|null $stopTimeout Seconds that the container gets to stop in before it is killed.
     * @param bool|null $init Runs a small init as process 1, which reaps zombies and hands on signals.
     * @param list<string>|null $capDrop Every capability, or "ALL".
     * @param list<string>|null $capAdd None beyond those podman gives by default.
     * @param bool|null $privileged What follows is understood to be refused where it loosens the isolation from the
     * host (403).
     * @param 'bridge'|'none'|null $networkMode "bridge" or "none".
     * @param 'private'|null $pidMode "private".
     * @param 'private'|'shareable'|'none'|null $ipcMode "private", "shareable" or "none".
     * @param 'private'|null $utsMode "private".
     * @param string|null $usernsMode None.
     * @param 'private'|null $cgroupnsMode "private".
     * @param list<string>|null $devices None.
     * @param list<string>|null $securityOpt "no-new-privileges" and "mask=/path".
     * @param array<string, string>|null $sysctls Of the network namespace's safe set.
     */
    public function __construct(
        public string $image,
        public string $name,
        public ?array $command = null,
        public ?array $entrypoint = null,
        public ?array $env = null,
        public ?string $network = null,
        public ?array $networks = null,
        public ?string $ip = null,
        public ?array $networkAliases = null,
        public ?array $dns = null,
        public ?array $dnsSearch = null,
        public ?array $mounts = null,
        public ?array $ports = null,
        public ?\Coolify\Coold\Input\Healthcheck $healthcheck = null,
        public ?array $labels = null,
        public ?string $restartPolicy = null,
        public ?string $user = null,
        public ?string $workdir = null,
        public ?\Coolify\Coold\Input\Resources $resources = null,
        public ?string $stopSignal = null,
        public ?int $stopTimeout = null,
        public ?bool $init = null,
        public ?array $capDrop = null,
        public ?array $capAdd = null,
        public ?bool $privileged = null,
        public ?string $networkMode = null,
        public ?string $pidMode = null,
        public ?string $ipcMode = null,
        public ?string $utsMode = null,
        public ?string $usernsMode = null,
        public ?string $cgroupnsMode = null,
        public ?array $devices = null,
        public ?array $securityOpt = null,
        public ?array $sysctls = null,
    ) {
    }

    public function type(): string
    {
        return 'containers.create';
    }

    public function fields(): array
    {
        return array_filter([
            'image' => $this->image,
            'name' => $this->name,
            'command' => $this->command === null ? null : array_values($this->command),
            'entrypoint' => $this->entrypoint === null ? null : array_values($this->entrypoint),
            'env' => $this->env === null ? null : (object) $this->env,
            'network' => $this->network,
            'networks' => $this->networks === null ? null : array_values($this->networks),
            'ip' => $this->ip,
            'network_aliases' => $this->networkAliases === null ? null : array_values($this->networkAliases),
            'dns' => $this->dns === null ? null : array_values($this->dns),
            'dns_search' => $this->dnsSearch === null ? null : array_values($this->dnsSearch),
            'mounts' => $this->mounts === null ? null : array_map(static fn ($item): object => (object) $item->fields(), array_values($this->mounts)),
            'ports' => $this->ports === null ? null : array_map(static fn ($item): object => (object) $item->fields(), array_values($this->ports)),
            'healthcheck' => $this->healthcheck === null ? null : (object) $this->healthcheck->fields(),
            'labels' => $this->labels === null ? null : (object) $this->labels,
            'restart_policy' => $this->restartPolicy,
            'user' => $this->user,
            'workdir' => $this->workdir,
            'resources' => $this->resources === null ? null : (object) $this->resources->fields(),
            'stop_signal' => $this->stopSignal,
            'stop_timeout' => $this->stopTimeout,
            'init' => $this->init,
            'cap_drop' => $this->capDrop === null ? null : array_values($this->capDrop),
            'cap_add' => $this->capAdd === null ? null : array_values($this->capAdd),
            'privileged' => $this->privileged,
            'network_mode' => $this->networkMode,
            'pid_mode' => $this->pidMode,
            'ipc_mode' => $this->ipcMode,
            'uts_mode' => $this->utsMode,
            'userns_mode' => $this->usernsMode,
            'cgroupns_mode' => $this->cgroupnsMode,
            'devices' => $this->devices === null ? null : array_values($this->devices),
            'security_opt' => $this->securityOpt === null ? null : array_values($this->securityOpt),
            'sysctls' => $this->sysctls === null ? null : (object) $this->sysctls,
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

    public function read(mixed $data): \Coolify\Coold\Data\ContainersCreateAnswer
    {
        return \Coolify\Coold\Data\ContainersCreateAnswer::from($data);
    }
}
