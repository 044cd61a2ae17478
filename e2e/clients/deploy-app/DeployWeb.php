<?php
declare(strict_types=1);

use Coolify\Coold\Build\StaticBuild;
use Coolify\Coold\Client;
use Coolify\Coold\Exception\ContainerNotFound;
use Coolify\Coold\Exception\NameTaken;
use Coolify\Coold\Host;
use Coolify\Coold\Input\Healthcheck;
use Coolify\Coold\Input\Mount;
use Illuminate\Queue\Jobs\Job;

/**
 * Replaces a running container by a new version of it, T0 to T10. A worker may die at any moment: the next one goes on at the
 * step that is not done, whose request has the same request_id and does no harm where the host has done it already.
 */
final readonly class DeployWeb
{
    private const NAMESPACE = 'default';
    private const SERVICE = 'web';

    public function __construct(private Client $client, private Deployments $deployments)
    {
    }

    /** @param array{deployment: string, host: string, builder: string, image: string, network: string, proxy: string, old: string|null} $data */
    public function fire(Job $job, array $data): void
    {
        $deployment = $data['deployment'];
        $name = "web-$deployment";
        $step = fn (string $step, callable $work): array
            => $this->deployments->step($deployment, $step, static fn (): array => $work("$deployment-$step") ?? []);
        $host = $this->client->host($data['host']);

        $step('T0-build', function (string $id) use ($data): array {
            $build = new StaticBuild('https://git.example/web.git', 'main', "localhost/$id:latest");
            return ['digest' => $this->client->builds()->wait($this->client->builds()->start($build, $id, $data['builder']))->digest];
        });
        // T1 is the scheduler's, and with one host there is nothing to pull (T2).
        $step('T3-volume', fn (string $id) => $this->done(fn () => $host->as($id)->volumesCreate(name: 'web-data')));
        ['id' => $id] = $step('T4-create', fn (string $requestId): array => ['id' => $this->create($host->as($requestId), $host, $name, $data)]);
        $step('T5-start', fn (string $requestId) => $this->done(fn () => $host->as($requestId)->containersStart($id)));
        ['address' => $address] = $step('T6-healthy', fn (): array => ['address' => $this->healthy($host, $name, $data['network'])]);
        $step('T7-register', fn (string $requestId) => $this->done(fn () => $host->as($requestId)->servicesRegister(
            serviceId: self::SERVICE,
            name: 'web',
            namespace: self::NAMESPACE,
            containerId: $id,
            port: 80,
        )));
        $step('T8-allow', fn (string $requestId): array => ['rule' => $host->as($requestId)->firewallAllow(
            src: $this->addressOf($host, $data['proxy'], $data['network']),
            dst: $address,
            proto: 'tcp',
            port: 80,
        )->id]);
        // The one step that a host may do twice, so it is one that may be done twice.
        $step('T9-reload', fn (string $requestId): array => ['exit_code' => $host->as($requestId)->containersExec($data['proxy'], ['/bin/busybox', 'true'])->exitCode]);
        if ($data['old'] !== null) {
            $this->retire($step, $host, $data['old'], $data);
        }
        $job->delete();
        echo "deployed $deployment\n";
    }

    /** @param array<string, mixed> $data */
    private function create(Host $host, Host $list, string $name, array $data): string
    {
        try {
            return $host->containersCreate(
                image: $data['image'],
                name: $name,
                command: ['/bin/busybox', 'sleep', '1000'],
                network: $data['network'],
                mounts: [new Mount(target: '/data', volume: 'web-data')],
                healthcheck: new Healthcheck(test: ['CMD', '/bin/busybox', 'true'], interval: 1, retries: 30),
                stopTimeout: 0,
            )->id;
        } catch (NameTaken) {
            // The worker before this one died between the answer and its note.
            return $list->containersList(name: $name)[0]->id;
        }
    }

    private function healthy(Host $host, string $name, string $network): string
    {
        for ($until = microtime(true) + 60; microtime(true) < $until; usleep(200_000)) {
            [$container] = $host->containersList(name: $name);
            if ($container->health === 'healthy') {
                return $container->addresses[$network];
            }
            $host->containersHealthcheck($container->id);
        }
        throw new RuntimeException("$name does not become healthy");
    }

    private function addressOf(Host $host, string $name, string $network): string
    {
        return $host->containersList(name: $name)[0]->addresses[$network];
    }

    /**
     * @param callable(string, callable): array<string, mixed> $step
     * @param array<string, mixed> $data
     */
    private function retire(callable $step, Host $host, string $old, array $data): void
    {
        ['id' => $id, 'rule' => $rule] = $step('T10-look', function () use ($host, $old, $data): array {
            $container = $host->containersList(name: $old)[0];
            $address = $container->addresses[$data['network']];
            $rules = array_filter($host->firewallList(), static fn ($rule): bool => $rule->dst === $address);
            return ['id' => $container->id, 'rule' => array_values($rules)[0]->id ?? null];
        });
        $step('T10-stop', fn (string $requestId) => $this->gone(fn () => $host->as($requestId)->containersStop($id, timeout: 1)));
        $step('T10-unregister', fn (string $requestId) => $this->done(fn () => $host->as($requestId)->servicesUnregister(self::SERVICE, $id)));
        if ($rule !== null) {
            $step('T10-revoke', fn (string $requestId) => $this->done(fn () => $host->as($requestId)->firewallRevoke($rule)));
        }
        $step('T10-delete', fn (string $requestId) => $this->gone(fn () => $host->as($requestId)->containersDelete($id, force: true, timeout: 1)));
    }

    /** @return array<string, mixed> */
    private function gone(callable $work): array
    {
        try {
            $work();
        } catch (ContainerNotFound) {
            // The worker before this one did it.
        }
        return [];
    }

    /** @return array<string, mixed> */
    private function done(callable $work): array
    {
        $work();
        return [];
    }
}
