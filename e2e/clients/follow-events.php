<?php
// A worker of Laravel's that follows host.events of one host and deals with each change exactly once, through restarts of the
// broker, of coold and of itself.
//
//   php follow-events.php SOCKET HOST_ID FILE
//
// FILE is what the worker has dealt with: a JSON line for each change, and in it the cursor that it goes on from. In Laravel
// this is a table: the change and the cursor are written in one transaction. A line that broke off was not dealt with.
declare(strict_types=1);

[, $socket, $hostId, $file] = $argv;

/** What is dealt with, read back: the cursor, and the last fact about each thing. */
final class Ledger
{
    public ?string $cursor = null;
    /** @var array<string, array<string, mixed>> */
    public array $facts = [];
    /** @var resource */
    private $handle;

    public function __construct(string $file)
    {
        $text = is_file($file) ? (string) file_get_contents($file) : '';
        $end = strrpos($text, "\n");
        $whole = $end === false ? '' : substr($text, 0, $end + 1);
        foreach (explode("\n", $whole) as $line) {
            if ($line !== '') {
                $this->remember(json_decode($line, true, flags: JSON_THROW_ON_ERROR));
            }
        }
        $this->handle = fopen($file, 'c+b');
        ftruncate($this->handle, strlen($whole));
        fseek($this->handle, 0, SEEK_END);
    }

    /** @param array<string, mixed> $change */
    public function deal(array $change): void
    {
        fwrite($this->handle, json_encode($change, JSON_THROW_ON_ERROR) . "\n");
        fflush($this->handle);
        fsync($this->handle);
        $this->remember($change);
    }

    /** @param array<string, mixed> $change */
    private function remember(array $change): void
    {
        $this->cursor = $change['cursor'] ?? $this->cursor;
        $topic = topic($change);
        if ($topic === null) {
            return;
        }
        if (str_ends_with($change['type'], '.removed')) {
            unset($this->facts[$topic]);
        } else {
            $this->facts[$topic] = $change;
        }
    }
}

/** @param array<string, mixed> $event */
function topic(array $event): ?string
{
    return match (true) {
        // What was put back is over at once.
        $event['type'] === 'firewall.repair' => null,
        isset($event['container']) => 'container ' . $event['container']['id'],
        isset($event['build']) => 'build ' . $event['build']['request_id'],
        isset($event['dns']) => 'dns ' . $event['dns']['namespace'] . ' ' . $event['dns']['address'],
        isset($event['firewall']) => 'firewall',
        default => null,
    };
}

/** What a fact says, without when and how it was told. @param array<string, mixed> $event */
function content(array $event): array
{
    return array_intersect_key($event, array_flip(['container', 'build', 'dns', 'firewall']));
}

/** @param array<string, mixed> $event */
function handle(array $event, Ledger $ledger): void
{
    switch ($event['type']) {
        case 'alive':
            return;
        case 'begin':
        case 'gap':
            // Events may be missing: the difference between what is known there and here is what happened.
            $there = [];
            foreach ($event['known'] as $fact) {
                $there[topic($fact)] = true;
                $here = $ledger->facts[topic($fact)] ?? null;
                if ($here === null || content($here) != content($fact)) {
                    $ledger->deal($fact);
                }
            }
            foreach (array_diff_key($ledger->facts, $there) as $gone) {
                $kind = explode('.', $gone['type'])[0];
                $ledger->deal(['type' => "$kind.removed", 'at' => $event['at']] + content($gone));
            }
            // Last: a worker that is killed before it is told the gap once more, and finds what is left of the difference.
            $ledger->deal(['type' => $event['type'], 'reason' => $event['reason'], 'cursor' => $event['cursor']]);
            return;
        default:
            $ledger->deal($event);
    }
}

$ledger = new Ledger($file);
for ($attempt = 0; ; $attempt++) {
    $command = ['type' => 'host.events'] + ($ledger->cursor === null ? [] : ['since' => $ledger->cursor]);
    $requestId = 'events-' . getmypid() . '-' . $attempt;
    $body = json_encode(['host_id' => $hostId, 'request_id' => $requestId, 'command' => $command], JSON_THROW_ON_ERROR);
    $buffer = '';
    $curl = curl_init('http://broker/v1/coold/stream');
    curl_setopt_array($curl, [
        CURLOPT_UNIX_SOCKET_PATH => $socket,
        CURLOPT_POSTFIELDS => $body,
        CURLOPT_HTTPHEADER => ['Content-Type: application/json'],
        CURLOPT_CONNECTTIMEOUT => 5,
        // The host says every 15 s that it lives: a connection that is silent for longer is dead.
        CURLOPT_LOW_SPEED_LIMIT => 1,
        CURLOPT_LOW_SPEED_TIME => 45,
        CURLOPT_WRITEFUNCTION => function ($curl, string $data) use (&$buffer, $ledger): int {
            $buffer .= $data;
            while (($end = strpos($buffer, "\n")) !== false) {
                $line = json_decode(substr($buffer, 0, $end), true, flags: JSON_THROW_ON_ERROR);
                $buffer = substr($buffer, $end + 1);
                // The first line says that the stream is open, and the last one may be an error: neither is an event.
                if (isset($line['type'])) {
                    handle($line, $ledger);
                }
            }
            return strlen($data);
        },
    ]);
    curl_exec($curl);
    curl_close($curl);
    // The broker or the host is away: again, behind what is dealt with.
    usleep(500_000);
}
