<?php
// The client alone, with the fake in the place of a broker.
declare(strict_types=1);

require __DIR__ . '/check.php';

use Coolify\Coold\Build\DockerfileBuild;
use Coolify\Coold\Build\Push;
use Coolify\Coold\Build\StaticBuild;
use Coolify\Coold\Client;
use Coolify\Coold\Command\ContainersCreate;
use Coolify\Coold\Command\ContainersDelete;
use Coolify\Coold\Command\ContainersExec;
use Coolify\Coold\Command\ContainersStop;
use Coolify\Coold\Command\FirewallBulk;
use Coolify\Coold\Exception\BuildStepFailed;
use Coolify\Coold\Exception\ContainerNotFound;
use Coolify\Coold\Exception\CooldException;
use Coolify\Coold\Exception\Disconnected;
use Coolify\Coold\Exception\HostBusy;
use Coolify\Coold\Exception\HostDisconnected;
use Coolify\Coold\Http\Answer;
use Coolify\Coold\Http\Lines;
use Coolify\Coold\Http\Transport;
use Coolify\Coold\Input\FirewallAllow;
use Coolify\Coold\Input\Healthcheck;
use Coolify\Coold\Input\Mount;
use Coolify\Coold\Input\PortMapping;
use Coolify\Coold\Retries;
use Coolify\Coold\Testing\FakeBroker;

// What is given is written, and nothing else; a map stays one, whatever its keys are.
$create = new ContainersCreate(
    image: 'nginx',
    name: 'web',
    env: [],
    labels: ['0' => 'zero'],
    mounts: [new Mount(target: '/data', volume: 'data')],
    ports: [new PortMapping(hostPort: 8080, containerPort: 80)],
    healthcheck: new Healthcheck(test: ['CMD', 'true'], interval: '1s'),
);
same(
    '{"image":"nginx","name":"web","env":{},"mounts":[{"volume":"data","target":"/data"}],"ports":[{"host_port":8080,"container_port":80}],'
    . '"healthcheck":{"test":["CMD","true"],"interval":"1s"},"labels":{"0":"zero"}}',
    json_encode($create->fields(), JSON_UNESCAPED_SLASHES),
    'fields of a command',
);
same(
    '{"add":[{"src":"10.0.0.1","dst":"10.0.0.2"}],"remove":[]}',
    json_encode((new FirewallBulk(add: [new FirewallAllow(src: '10.0.0.1', dst: '10.0.0.2')], remove: []))->fields()),
    'fields of a list',
);

// How long an answer is waited for, as the broker counts.
same([15.0, 45.0, 305.0], array_map(fn (?int $s) => (new ContainersStop('c', $s))->deadline(), [null, 40, 86400]), 'deadlines');
same([null, 25.0], [(new ContainersDelete('c', timeout: 20))->deadline(), (new ContainersDelete('c', force: true, timeout: 20))->deadline()], 'deadline with force');

// Builds.
same(
    '{"type":"static_build","repo_url":"https:\/\/git.example\/a.git","git_ref":"main","target_image":"a:1","push":{}}',
    json_encode((new StaticBuild('https://git.example/a.git', 'main', 'a:1', push: new Push()))->command()),
    'a static build',
);
same(
    ['type' => 'dockerfile_build', 'repo_url' => 'r', 'git_ref' => 'm', 'target_image' => 'a', 'target' => 'prod'],
    (new DockerfileBuild('r', 'm', 'a', target: 'prod'))->command(),
    'a build by a Dockerfile',
);

// The fake.
$broker = (new FakeBroker())
    ->answer('containers.create', ['id' => 'c1'])
    ->answer('containers.list', [['id' => 'c1', 'name' => 'web', 'labels' => ['a' => 'b'], 'created' => 1, 'ports' => [['host_port' => 1, 'container_port' => 2]]]])
    ->answer('containers.stop', null)
    ->refuse('containers.start', 'container_not_found', 404, 'no such container', 'id')
    ->streams('containers.exec', [
        ['stream' => 'stdout', 'data' => 'one'],
        ['stream' => 'stderr', 'data' => base64_encode("\xff"), 'encoding' => 'base64'],
        ['exit_code' => 3],
    ])
    ->streams('containers.logs', [['stream' => 'stdout', 'data' => 'x'], ['error' => 'gone', 'code' => 503, 'reason' => 'host_disconnected']])
    ->call('GET', '/v1/health', 200, ['ok' => true])
    ->call('GET', '/v1/build/result/b?timeout_ms=0', 200, ['status' => 'error', 'code' => 422, 'reason' => 'build_step_failed', 'message' => 'm', 'stage' => 'buildah']);
$client = $broker->client();
$host = $client->host('host-1');
same('c1', $host->containersCreate(image: 'nginx', name: 'web')->id, 'an answer');
[$listed] = $host->containersList(label: ['a=b']);
same(['c1', ['a' => 'b'], 2, ''], [$listed->id, $listed->labels, $listed->ports[0]->containerPort, $listed->namespace], 'a list of answers');
$host->containersStop('c1', timeout: 0);
same(['type' => 'containers.stop', 'id' => 'c1', 'timeout' => 0], $broker->commands('containers.stop')[0], 'a command that was sent');
$error = thrown(ContainerNotFound::class, fn () => $host->containersStart('c2'), 'a refusal of a host');
same(['container_not_found', 404, 'id', true], [$error->reason, $error->getCode(), $error->field, $error->isFromHost], 'what a refusal says');
$exec = $host->containersExecStream('c1', ['sh'])->write('in')->resize(80, 24)->end();
same(['stdout' => 'one', 'stderr' => "\xff"], array_column(iterator_to_array($exec), 'data', 'stream'), 'output');
same(3, $exec->exitCode(), 'an exit code');
same([['stdin' => 'in'], ['resize' => ['cols' => 80, 'rows' => 24]], ['eof' => true]], $broker->input(), 'input');
thrown(HostDisconnected::class, fn () => $host->containersLogsStream('c1')->text(), 'a stream that breaks off');
same(true, $client->isUp(), 'health');
$error = thrown(BuildStepFailed::class, fn () => $client->builds()->result('b'), 'a build that failed');
same(['buildah', true], [$error->stage, $error->isFromHost], 'where it failed');
thrown(LogicException::class, fn () => $host->dnsStats(), 'what the test does not say');
same(CooldException::class, CooldException::of(['reason' => 'of_next_year', 'message' => 'm', 'code' => 409], true)::class, 'a reason that is not known here');

// Requests are repeated with the same id, where that cannot do harm.
final class Failing implements Transport
{
    /** @var list<string> */
    public array $ids = [];

    /** @param list<Throwable|array<string, mixed>> $answers */
    public function __construct(public array $answers)
    {
    }

    public function send(string $method, string $path, ?array $json, float $timeoutSeconds): Answer
    {
        $this->ids[] = $json['request_id'];
        $next = array_shift($this->answers);
        if ($next instanceof Throwable) {
            throw $next;
        }
        return new Answer($next['code'] ?? 200, json_encode($next));
    }

    public function open(string $method, string $path, ?array $json): Lines
    {
        throw new LogicException('no stream');
    }
}

$refused = static fn (string $reason, int $code): array => ['status' => 'error', 'reason' => $reason, 'code' => $code, 'message' => 'm'];
$quick = new Retries(attempts: 5, firstWaitSeconds: 0.001);
$good = ['status' => 'ok', 'data' => null];

$transport = new Failing([new Disconnected('gone'), $refused('request_id_in_flight', 409), $refused('dispatch_timeout', 504), $good]);
(new Client($transport, $quick))->host('h')->as('deploy-1-stop')->containersStop('c');
same(array_fill(0, 4, 'deploy-1-stop'), $transport->ids, 'the ids of a request that is repeated');

$transport = new Failing([$refused('host_busy', 503), $refused('host_disconnected', 503), $good]);
thrown(HostDisconnected::class, fn () => (new Client($transport, $quick))->host('h')->containersExec('c', ['true']), 'a program that may have run');
same([2, 1], [count($transport->ids), count(array_unique($transport->ids))], 'attempts of a program');

$transport = new Failing(array_fill(0, 9, $refused('host_busy', 503)));
thrown(HostBusy::class, fn () => (new Client($transport, $quick))->host('h')->imagesList(), 'a host that stays busy');
same(5, count($transport->ids), 'attempts at the most');

$transport = new Failing([$refused('invalid_request', 400)]);
thrown(\Coolify\Coold\Exception\InvalidRequest::class, fn () => (new Client($transport, $quick))->host('h')->imagesList(), 'a mistake');
same(1, count($transport->ids), 'a mistake is not repeated');
same(true, (new ContainersExec('c', ['true']))->worksAnew(), 'exec works anew');

echo "ok\n";
