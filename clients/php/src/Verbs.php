<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold;

/** A method for each verb of a host; its parameters are those of the command. */
trait Verbs
{
    /**
     * @template T
     * @param Command\Command<T> $command
     * @return T
     */
    abstract public function dispatch(Command\Command $command): mixed;

    abstract public function stream(Command\Command $command): OutputStream;

    /**
     * Every container of the host with its networks.
     * @return list<\Coolify\Coold\Data\ContainerSummary>
     * @throws CooldException
     */
    public function listContainers(): array
    {
        return $this->dispatch(new Command\ListContainers());
    }

    /**
     * Pulls an image; repeated while it runs, it joins the pull under way.
     * @param string $ref As podman takes it, for example "docker.io/library/nginx:alpine" or
     * "registry:5000/app@sha256:…".
     * @param \Coolify\Coold\Input\RegistryAuth|null $auth Credentials for the registry; absent where the registry
     * needs none.
     * @return \Coolify\Coold\Data\ImagesPullAnswer
     * @throws CooldException
     */
    public function imagesPull(
        string $ref,
        ?\Coolify\Coold\Input\RegistryAuth $auth = null,
    ): \Coolify\Coold\Data\ImagesPullAnswer
    {
        return $this->dispatch(new Command\ImagesPull($ref, $auth));
    }

    /**
     * Every image of the host, by name.
     * @return list<\Coolify\Coold\Data\Image>
     * @throws CooldException
     */
    public function imagesList(): array
    {
        return $this->dispatch(new Command\ImagesList());
    }

    /**
     * Removes an image that no container uses.
     * @param string $ref A name or an id.
     * @throws CooldException
     */
    public function imagesDelete(
        string $ref,
    ): void
    {
        $this->dispatch(new Command\ImagesDelete($ref));
    }

    /**
     * Creates a container, isolated as Podman does it by default or more.
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
     * @return \Coolify\Coold\Data\ContainersCreateAnswer
     * @throws CooldException
     */
    public function containersCreate(
        string $image,
        string $name,
        ?array $command = null,
        ?array $entrypoint = null,
        ?array $env = null,
        ?string $network = null,
        ?array $networks = null,
        ?string $ip = null,
        ?array $networkAliases = null,
        ?array $dns = null,
        ?array $dnsSearch = null,
        ?array $mounts = null,
        ?array $ports = null,
        ?\Coolify\Coold\Input\Healthcheck $healthcheck = null,
        ?array $labels = null,
        ?string $restartPolicy = null,
        ?string $user = null,
        ?string $workdir = null,
        ?\Coolify\Coold\Input\Resources $resources = null,
        ?string $stopSignal = null,
        ?int $stopTimeout = null,
        ?bool $init = null,
        ?array $capDrop = null,
        ?array $capAdd = null,
        ?bool $privileged = null,
        ?string $networkMode = null,
        ?string $pidMode = null,
        ?string $ipcMode = null,
        ?string $utsMode = null,
        ?string $usernsMode = null,
        ?string $cgroupnsMode = null,
        ?array $devices = null,
        ?array $securityOpt = null,
        ?array $sysctls = null,
    ): \Coolify\Coold\Data\ContainersCreateAnswer
    {
        return $this->dispatch(new Command\ContainersCreate($image, $name, $command, $entrypoint, $env, $network, $networks, $ip, $networkAliases, $dns, $dnsSearch, $mounts, $ports, $healthcheck, $labels, $restartPolicy, $user, $workdir, $resources, $stopSignal, $stopTimeout, $init, $capDrop, $capAdd, $privileged, $networkMode, $pidMode, $ipcMode, $utsMode, $usernsMode, $cgroupnsMode, $devices, $securityOpt, $sysctls));
    }

    /**
     * Starts a container, after its bind sources were checked again.
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @throws CooldException
     */
    public function containersStart(
        string $id,
    ): void
    {
        $this->dispatch(new Command\ContainersStart($id));
    }

    /**
     * Stops a container, killing it after `timeout` seconds, and starts it, after its bind sources were checked again.
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @param int|null $timeout Seconds until it is killed; the container's own stop_timeout when absent.
     * @throws CooldException
     */
    public function containersRestart(
        string $id,
        ?int $timeout = null,
    ): void
    {
        $this->dispatch(new Command\ContainersRestart($id, $timeout));
    }

    /**
     * Stops a container, killing it after `timeout` seconds.
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @param int|null $timeout Seconds until it is killed; the container's own stop_timeout when absent.
     * @throws CooldException
     */
    public function containersStop(
        string $id,
        ?int $timeout = null,
    ): void
    {
        $this->dispatch(new Command\ContainersStop($id, $timeout));
    }

    /**
     * Removes a container; `force` also one that runs, killing it after `timeout` seconds.
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @param bool|null $force Also when it runs.
     * @param int|null $timeout With force: seconds until it is killed; the container's own stop_timeout when absent.
     * @throws CooldException
     */
    public function containersDelete(
        string $id,
        ?bool $force = null,
        ?int $timeout = null,
    ): void
    {
        $this->dispatch(new Command\ContainersDelete($id, $force, $timeout));
    }

    /**
     * Podman's own description of a container.
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @return array<string, mixed>
     * @throws CooldException
     */
    public function containersInspect(
        string $id,
    ): array
    {
        return $this->dispatch(new Command\ContainersInspect($id));
    }

    /**
     * What a container wrote; with `follow` what it writes until it stops; up to 1 MiB where it is no stream.
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @param int|null $tail Only this many of the last lines; all when absent.
     * @param int|float|null $since Unix time in seconds.
     * @param bool|null $stdout Both streams when neither is named; else those that are true.
     * @param bool|null $stderr As `stdout`, for the other stream.
     * @param bool|null $timestamps Each line begins with its time, RFC 3339.
     * @param bool|null $follow Goes on with what is written from now on; only as a stream.
     * @return \Coolify\Coold\Data\ContainersLogsAnswer
     * @throws CooldException
     */
    public function containersLogs(
        string $id,
        ?int $tail = null,
        int|float|null $since = null,
        ?bool $stdout = null,
        ?bool $stderr = null,
        ?bool $timestamps = null,
        ?bool $follow = null,
    ): \Coolify\Coold\Data\ContainersLogsAnswer
    {
        return $this->dispatch(new Command\ContainersLogs($id, $tail, $since, $stdout, $stderr, $timestamps, $follow));
    }

    /**
     * What a container wrote; with `follow` what it writes until it stops; up to 1 MiB where it is no stream. Its
     * output comes as it is written.
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @param int|null $tail Only this many of the last lines; all when absent.
     * @param int|float|null $since Unix time in seconds.
     * @param bool|null $stdout Both streams when neither is named; else those that are true.
     * @param bool|null $stderr As `stdout`, for the other stream.
     * @param bool|null $timestamps Each line begins with its time, RFC 3339.
     * @param bool|null $follow Goes on with what is written from now on; only as a stream.
     * @throws CooldException
     */
    public function containersLogsStream(
        string $id,
        ?int $tail = null,
        int|float|null $since = null,
        ?bool $stdout = null,
        ?bool $stderr = null,
        ?bool $timestamps = null,
        ?bool $follow = null,
    ): OutputStream
    {
        return $this->stream(new Command\ContainersLogs($id, $tail, $since, $stdout, $stderr, $timestamps, $follow));
    }

    /**
     * Runs a program in a container until it or its caller ends; up to 1 MiB of its output where it is no stream.
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @param list<string> $cmd Program and arguments.
     * @param bool|null $tty Gives the program a terminal, whose output is one stream.
     * @param array<string, string|int|float|bool>|null $env Variables beside those of the container. A number, true or
     * false stands for its text.
     * @param string|null $workdir An absolute path in the container; the container's own when empty.
     * @param string|null $user A user, or user:group, each by name or number; the container's own when empty.
     * @return \Coolify\Coold\Data\ContainersExecAnswer
     * @throws CooldException
     */
    public function containersExec(
        string $id,
        array $cmd,
        ?bool $tty = null,
        ?array $env = null,
        ?string $workdir = null,
        ?string $user = null,
    ): \Coolify\Coold\Data\ContainersExecAnswer
    {
        return $this->dispatch(new Command\ContainersExec($id, $cmd, $tty, $env, $workdir, $user));
    }

    /**
     * Runs a program in a container until it or its caller ends; up to 1 MiB of its output where it is no stream. Its
     * output comes as it is written, and it takes input.
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @param list<string> $cmd Program and arguments.
     * @param bool|null $tty Gives the program a terminal, whose output is one stream.
     * @param array<string, string|int|float|bool>|null $env Variables beside those of the container. A number, true or
     * false stands for its text.
     * @param string|null $workdir An absolute path in the container; the container's own when empty.
     * @param string|null $user A user, or user:group, each by name or number; the container's own when empty.
     * @throws CooldException
     */
    public function containersExecStream(
        string $id,
        array $cmd,
        ?bool $tty = null,
        ?array $env = null,
        ?string $workdir = null,
        ?string $user = null,
    ): OutputStream
    {
        return $this->stream(new Command\ContainersExec($id, $cmd, $tty, $env, $workdir, $user));
    }

    /**
     * Runs a container's healthcheck now.
     * @param string $id The container, by its full name, its id, or at least 12 digits of its id.
     * @return \Coolify\Coold\Data\ContainersHealthcheckAnswer
     * @throws CooldException
     */
    public function containersHealthcheck(
        string $id,
    ): \Coolify\Coold\Data\ContainersHealthcheckAnswer
    {
        return $this->dispatch(new Command\ContainersHealthcheck($id));
    }

    /**
     * Containers of the host by name, filtered and paged, with labels, ports and addresses.
     * @param string|null $name Exactly this name.
     * @param list<string>|null $label "key" or "key=value"; all of them.
     * @param string|null $state As podman says it, for example "running".
     * @param string|null $namespace Those on a network of this namespace.
     * @param int|null $limit At most so many, 1 to 1000; fewer where they would be over 3 MiB. All when absent.
     * @param string|null $after The name that the last page ended with. The page after the last is empty.
     * @return list<\Coolify\Coold\Data\ListedContainer>
     * @throws CooldException
     */
    public function containersList(
        ?string $name = null,
        ?array $label = null,
        ?string $state = null,
        ?string $namespace = null,
        ?int $limit = null,
        ?string $after = null,
    ): array
    {
        return $this->dispatch(new Command\ContainersList($name, $label, $state, $namespace, $limit, $after));
    }

    /**
     * Creates a volume, or returns the one that is there.
     * @param string $name The name of the volume.
     * @param string|null $driver "local" when empty.
     * @param array<string, string>|null $labels Labels by key.
     * @return \Coolify\Coold\Data\Volume
     * @throws CooldException
     */
    public function volumesCreate(
        string $name,
        ?string $driver = null,
        ?array $labels = null,
    ): \Coolify\Coold\Data\Volume
    {
        return $this->dispatch(new Command\VolumesCreate($name, $driver, $labels));
    }

    /**
     * Removes a volume that no container uses.
     * @param string $name The full name of the volume.
     * @throws CooldException
     */
    public function volumesDelete(
        string $name,
    ): void
    {
        $this->dispatch(new Command\VolumesDelete($name));
    }

    /**
     * One volume.
     * @param string $name The full name of the volume.
     * @return \Coolify\Coold\Data\Volume
     * @throws CooldException
     */
    public function volumesInspect(
        string $name,
    ): \Coolify\Coold\Data\Volume
    {
        return $this->dispatch(new Command\VolumesInspect($name));
    }

    /**
     * Creates a network whose subnet collides with nothing.
     * @param string $name The name, which no other network of the host has.
     * @param string|null $namespace A DNS label; its containers are endpoints of that namespace.
     * @param 'bridge'|null $driver "bridge", also when empty.
     * @param string|null $subnet IPv4, for example "10.210.5.0/24"; a free one when empty.
     * @param string|null $gateway Within the subnet; its first address when empty.
     * @param array<string, string>|null $options "mtu", "metric", "vlan" and "isolate", as podman reads them.
     * @param array<string, string>|null $labels Labels by key.
     * @return \Coolify\Coold\Data\Network
     * @throws CooldException
     */
    public function networksCreate(
        string $name,
        ?string $namespace = null,
        ?string $driver = null,
        ?string $subnet = null,
        ?string $gateway = null,
        ?array $options = null,
        ?array $labels = null,
    ): \Coolify\Coold\Data\Network
    {
        return $this->dispatch(new Command\NetworksCreate($name, $namespace, $driver, $subnet, $gateway, $options, $labels));
    }

    /**
     * Removes a network that no container uses.
     * @param string $name The full name of the network.
     * @throws CooldException
     */
    public function networksDelete(
        string $name,
    ): void
    {
        $this->dispatch(new Command\NetworksDelete($name));
    }

    /**
     * Every network with its namespace and subnet.
     * @return list<\Coolify\Coold\Data\Network>
     * @throws CooldException
     */
    public function networksList(): array
    {
        return $this->dispatch(new Command\NetworksList());
    }

    /**
     * Allows one flow, in both planes of the packet filter and on disk.
     * @param string $src The address that the flow comes from: one IPv4 address.
     * @param string $dst The address that the flow goes to: one IPv4 address.
     * @param string|null $namespace A DNS label; "default" when empty.
     * @param 'tcp'|'udp'|null $proto "tcp" or "udp"; absent: every protocol.
     * @param int|null $port The port of `dst`, with a proto; absent: every port.
     * @param string|null $id The id that the caller expects; another one is refused.
     * @return \Coolify\Coold\Data\FirewallRule
     * @throws CooldException
     */
    public function firewallAllow(
        string $src,
        string $dst,
        ?string $namespace = null,
        ?string $proto = null,
        ?int $port = null,
        ?string $id = null,
    ): \Coolify\Coold\Data\FirewallRule
    {
        return $this->dispatch(new Command\FirewallAllow($src, $dst, $namespace, $proto, $port, $id));
    }

    /**
     * Takes one flow back; an unknown id is no error.
     * @param string $id The id of the rule.
     * @throws CooldException
     */
    public function firewallRevoke(
        string $id,
    ): void
    {
        $this->dispatch(new Command\FirewallRevoke($id));
    }

    /**
     * Every allowed flow, by namespace and id.
     * @param string|null $namespace Empty: of every namespace.
     * @return list<\Coolify\Coold\Data\FirewallRule>
     * @throws CooldException
     */
    public function firewallList(
        ?string $namespace = null,
    ): array
    {
        return $this->dispatch(new Command\FirewallList($namespace));
    }

    /**
     * One allowed flow with what it has counted.
     * @param string $id The id of the rule.
     * @return \Coolify\Coold\Data\FirewallShowAnswer
     * @throws CooldException
     */
    public function firewallShow(
        string $id,
    ): \Coolify\Coold\Data\FirewallShowAnswer
    {
        return $this->dispatch(new Command\FirewallShow($id));
    }

    /**
     * Many flows at once, all or nothing.
     * @param list<\Coolify\Coold\Input\FirewallAllow>|null $add Flows to allow.
     * @param list<string>|null $remove Ids.
     * @return \Coolify\Coold\Data\FirewallBulkAnswer
     * @throws CooldException
     */
    public function firewallBulk(
        ?array $add = null,
        ?array $remove = null,
    ): \Coolify\Coold\Data\FirewallBulkAnswer
    {
        return $this->dispatch(new Command\FirewallBulk($add, $remove));
    }

    /**
     * Brings both planes to what the snapshots on disk say.
     * @throws CooldException
     */
    public function firewallReconcile(): void
    {
        $this->dispatch(new Command\FirewallReconcile());
    }

    /**
     * How planes, snapshots and what was asked for compare.
     * @return \Coolify\Coold\Data\FirewallStatusAnswer
     * @throws CooldException
     */
    public function firewallStatus(): \Coolify\Coold\Data\FirewallStatusAnswer
    {
        return $this->dispatch(new Command\FirewallStatus());
    }

    /**
     * Whether a flow would pass this host, hop by hop, by which rule, and what would open it.
     * @param string $src A container by its name, its id or 12 digits of that at least, its name in the cluster's DNS,
     * or its IPv4 address.
     * @param string $dst As `src`, for the other end.
     * @param 'tcp'|'udp'|null $proto "tcp" or "udp"; absent: any protocol, so the verdict is "unknown" where it
     * depends on that.
     * @param int|null $port From 1 to 65535, with a proto; absent: any port.
     * @return \Coolify\Coold\Data\FirewallExplainAnswer
     * @throws CooldException
     */
    public function firewallExplain(
        string $src,
        string $dst,
        ?string $proto = null,
        ?int $port = null,
    ): \Coolify\Coold\Data\FirewallExplainAnswer
    {
        return $this->dispatch(new Command\FirewallExplain($src, $dst, $proto, $port));
    }

    /**
     * Lets a container of this host answer for a service; again, when it does already.
     * @param string $serviceId The id of the service, as the caller calls it.
     * @param string $name A DNS label: the container answers under <name>.<namespace>.<zone>, beside its own name.
     * @param string $namespace A DNS label.
     * @param string $containerId One of this host.
     * @param int|null $port Where it serves; for callers only.
     * @return \Coolify\Coold\Data\ServiceRegistration
     * @throws CooldException
     */
    public function servicesRegister(
        string $serviceId,
        string $name,
        string $namespace,
        string $containerId,
        ?int $port = null,
    ): \Coolify\Coold\Data\ServiceRegistration
    {
        return $this->dispatch(new Command\ServicesRegister($serviceId, $name, $namespace, $containerId, $port));
    }

    /**
     * Lets a container of this host answer for a service no more.
     * @param string $id The id of the service: `service_id` of services.register.
     * @param string $containerId The container, by its id or its name.
     * @throws CooldException
     */
    public function servicesUnregister(
        string $id,
        string $containerId,
    ): void
    {
        $this->dispatch(new Command\ServicesUnregister($id, $containerId));
    }

    /**
     * The containers of the mesh that are registered for a service.
     * @param string $id The id of the service: `service_id` of services.register.
     * @return list<\Coolify\Coold\Data\ServiceEndpoint>
     * @throws CooldException
     */
    public function servicesEndpoints(
        string $id,
    ): array
    {
        return $this->dispatch(new Command\ServicesEndpoints($id));
    }

    /**
     * What a name leads to, as this host's DNS answers it.
     * @param string $name A domain name, whole: search domains are the client's.
     * @return \Coolify\Coold\Data\DnsLookupAnswer
     * @throws CooldException
     */
    public function dnsLookup(
        string $name,
    ): \Coolify\Coold\Data\DnsLookupAnswer
    {
        return $this->dispatch(new Command\DnsLookup($name));
    }

    /**
     * What this host's DNS has answered, from how fresh a directory, and where it listens.
     * @return \Coolify\Coold\Data\DnsStatsAnswer
     * @throws CooldException
     */
    public function dnsStats(): \Coolify\Coold\Data\DnsStatsAnswer
    {
        return $this->dispatch(new Command\DnsStats());
    }

    /**
     * The host: load, memory, disk, Podman, and the peers of its mesh.
     * @return \Coolify\Coold\Data\HostInfoAnswer
     * @throws CooldException
     */
    public function hostInfo(): \Coolify\Coold\Data\HostInfoAnswer
    {
        return $this->dispatch(new Command\HostInfo());
    }

    /**
     * Every container with its health and addresses.
     * @return list<\Coolify\Coold\Data\HostContainer>
     * @throws CooldException
     */
    public function hostContainers(): array
    {
        return $this->dispatch(new Command\HostContainers());
    }

    /**
     * What every container uses now.
     * @return list<\Coolify\Coold\Data\ContainerStats>
     * @throws CooldException
     */
    public function hostStats(): array
    {
        return $this->dispatch(new Command\HostStats());
    }

    /**
     * Replaces the token by which the host dials its broker; the stream that is up stays.
     * @param string $token A JWT for the host that the present token is for, which has not ended.
     * @throws CooldException
     */
    public function hostJwtSet(
        string $token,
    ): void
    {
        $this->dispatch(new Command\HostJwtSet($token));
    }

    /**
     * What coold itself wrote to the journal; with `follow` what it writes from now on; up to 1 MiB where it is no
     * stream.
     * @param int|null $tail Only this many of the last lines, up to 100000; 200 when absent.
     * @param bool|null $follow Goes on with what is written from now on; only as a stream.
     * @return \Coolify\Coold\Data\CooldLogsAnswer
     * @throws CooldException
     */
    public function cooldLogs(
        ?int $tail = null,
        ?bool $follow = null,
    ): \Coolify\Coold\Data\CooldLogsAnswer
    {
        return $this->dispatch(new Command\CooldLogs($tail, $follow));
    }

    /**
     * What coold itself wrote to the journal; with `follow` what it writes from now on; up to 1 MiB where it is no
     * stream. Its output comes as it is written.
     * @param int|null $tail Only this many of the last lines, up to 100000; 200 when absent.
     * @param bool|null $follow Goes on with what is written from now on; only as a stream.
     * @throws CooldException
     */
    public function cooldLogsStream(
        ?int $tail = null,
        ?bool $follow = null,
    ): OutputStream
    {
        return $this->stream(new Command\CooldLogs($tail, $follow));
    }

    /**
     * What changes on the host: containers and their health, the firewall, DNS, builds; as a stream it goes on, and
     * otherwise tells what there is since a cursor.
     * @param string|null $since The cursor of the last event that the caller has dealt with; absent: what is now, then
     * what changes from now on.
     * @param bool|null $follow As a stream: false ends it once everything is told that is known; true when absent.
     * Otherwise only false.
     * @return list<\Coolify\Coold\Data\HostEvent>
     * @throws CooldException
     */
    public function hostEvents(
        ?string $since = null,
        ?bool $follow = null,
    ): array
    {
        return $this->dispatch(new Command\HostEvents($since, $follow));
    }

    /**
     * Removes the rows of a host that is gone for good.
     * @param string $hostMgmtIp The host's address in the mesh. It has to be gone: not seen for COOLD_HOST_TTL, or
     * without a peer in WireGuard.
     * @throws CooldException
     */
    public function meshForget(
        string $hostMgmtIp,
    ): void
    {
        $this->dispatch(new Command\MeshForget($hostMgmtIp));
    }
}
