<?php
// The client against a real broker with a real host.
//
//   php whole.php SOCKET HOST_ID IMAGE
declare(strict_types=1);

require __DIR__ . '/check.php';

use Coolify\Coold\Client;
use Coolify\Coold\Exception\ContainerNotFound;
use Coolify\Coold\Exception\Denied;
use Coolify\Coold\Exception\HostNotConnected;
use Coolify\Coold\Exception\InvalidRequest;
use Coolify\Coold\Exception\RequestIdUnknown;
use Coolify\Coold\Exception\Silent;
use Coolify\Coold\Input\Mount;
use Coolify\Coold\Retries;

[, $socket, $hostId, $image] = $argv;
$client = Client::at($socket);
same(true, $client->isUp(), 'the broker serves');
same([$hostId], array_column($client->hosts(), 'host_id'), 'hosts');
same([$hostId], array_column($client->fleet()['hosts'], 'host_id'), 'hosts of all brokers');
$host = $client->host($hostId);

// Typed, both ways.
$host->volumesCreate(name: 'php-data', labels: []);
$busybox = '/bin/busybox';
$made = $host->containersCreate(
    image: $image,
    name: 'php',
    command: [$busybox, 'sleep', '1000'],
    env: ['PORT' => 8080, 'DEBUG' => true],
    mounts: [new Mount(target: '/data', volume: 'php-data')],
    stopTimeout: 0,
);
$host->containersStart($made->id);
[$listed] = $host->containersList(name: 'php');
same([$made->id, 'running', [], true], [$listed->id, $listed->state, $listed->ports, $listed->created > 1_600_000_000], 'a container');
same('running', $host->containersInspect('php')['State']['Status'], "Podman's own object");
same('8080 true', trim($host->containersExec('php', [$busybox, 'sh', '-c', 'echo $PORT $DEBUG'])->output), 'variables');
same(7, $host->containersExec('php', [$busybox, 'sh', '-c', 'exit 7'])->exitCode, 'an exit code');
same(true, $host->hostInfo()->memory?->total > 0, 'facts');
same(null, $host->firewallStatus()->lastError, 'an absent field');

// Refusals by their reason.
$error = thrown(ContainerNotFound::class, fn () => $host->containersStart('nosuch'), 'no such container');
same(['container_not_found', true], [$error->reason, $error->isFromHost], 'what it says');
same('privileged', thrown(Denied::class, fn () => $host->containersCreate(image: $image, name: 'x', privileged: true), 'denied')->field, 'the field');
same('id', thrown(InvalidRequest::class, fn () => $host->containersStart('../x'), 'a bad id')->field, 'the field');
$error = thrown(HostNotConnected::class, fn () => $client->withRetries(Retries::none())->host('elsewhere')->imagesList(), 'another host');
same(['elsewhere', false], [$error->hostId, $error->isFromHost], 'which host');
thrown(RequestIdUnknown::class, fn () => $client->builds()->result('nosuch'), 'a build that is not known');
same([false, false], [$client->builds()->cancel('nosuch'), $client->builds()->forget('nosuch')], 'nothing to cancel');

// A program with more input than any buffer on the way holds, both ways at once.
$chunks = static function (): Generator {
    for ($n = 0; $n < 64; $n++) {
        yield random_bytes(32 * 1024);
    }
};
$sent = hash_init('sha256');
$counted = (static function () use ($chunks, $sent): Generator {
    foreach ($chunks() as $chunk) {
        hash_update($sent, $chunk);
        yield $chunk;
    }
})();
$cat = $host->containersExecStream('php', [$busybox, 'cat'])->feed($counted)->silentFor(20);
$came = hash_init('sha256');
$bytes = 0;
foreach ($cat as $output) {
    hash_update($came, $output->data);
    $bytes += strlen($output->data);
}
same([64 * 32 * 1024, hash_final($sent), 0], [$bytes, hash_final($came), $cat->exitCode()], 'two MiB through cat');
same(true, memory_get_peak_usage() < 32 * 1024 * 1024, 'and no more memory than a few chunks');

// A conversation: what is written depends on what was read.
$shell = $host->containersExecStream('php', [$busybox, 'sh'])->write("echo first\n")->silentFor(20);
$heard = '';
foreach ($shell as $output) {
    $heard .= $output->data;
    if ($heard === "first\n") {
        $shell->write("echo second >&2; exit 5\n");
    }
}
same(["first\nsecond\n", 5], [$heard, $shell->exitCode()], 'a conversation');

// A program that ends without reading its input.
$true = $host->containersExecStream('php', [$busybox, 'true'])->write(str_repeat('x', 300_000))->end();
$true->text();
same(0, $true->exitCode(), 'input that nobody reads');

// Logs that go on, until the reader has enough: leaving the loop hangs up.
$host->containersCreate(image: $image, name: 'talker', command: [$busybox, 'sh', '-c', 'while :; do echo tick; /bin/busybox sleep 0.05; done'], stopTimeout: 0);
$host->containersStart('talker');
$ticks = 0;
foreach ($host->containersLogsStream('talker', follow: true) as $output) {
    $ticks += substr_count($output->data, 'tick');
    if ($ticks >= 3) {
        break;
    }
}
same(true, $ticks >= 3, 'logs that go on');
$begun = microtime(true);
thrown(Silent::class, fn () => $host->containersLogsStream('php', follow: true)->silentFor(0.5)->text(), 'a stream that is silent');
same(true, microtime(true) - $begun < 10, 'and not for long');
thrown(ContainerNotFound::class, fn () => $host->containersLogsStream('nosuch')->text(), 'a stream that is refused');

// Events: first how everything is, then what happens.
$seen = [];
foreach ($host->events() as $event) {
    $seen[] = $event->type;
    if ($event->type === 'begin') {
        $names = array_map(static fn ($fact): ?string => $fact->container?->name, $event->known);
        same(true, in_array('talker', $names, true), 'what is known at the beginning');
        $host->containersDelete('talker', force: true, timeout: 0);
    }
    if ($event->type === 'container.removed' && $event->container?->name === 'talker') {
        break;
    }
}
same('begin', $seen[0], 'the first event');

$host->containersDelete('php', force: true, timeout: 0);
$host->volumesDelete('php-data');
echo "ok\n";
