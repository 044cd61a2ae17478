<?php
// Would a flow between containers of two hosts pass? Each host judges its own part of the way, so both are asked with
// firewall.explain, and their answers are joined: the flow passes when it passes both.
//
//   php why.php SOCKET HOST_OF_SRC HOST_OF_DST SRC DST [PROTO PORT]
//
// Prints one line: {"verdict":…,"hops":[…],"allow":[…]}, where each hop comes from the host that judges it, and allow names
// what to send to which host. Exit 0: it passes, 1: it does not, 2: that is not known, or a host did not answer.
declare(strict_types=1);

[, $socket, $hostOfSrc, $hostOfDst, $src, $dst] = $argv;
$flow = ['src' => $src, 'dst' => $dst];
if (isset($argv[6])) {
    $flow['proto'] = $argv[6];
}
if (isset($argv[7])) {
    $flow['port'] = (int) $argv[7];
}

function explain(string $socket, string $host, array $flow): array
{
    $curl = curl_init('http://broker/v1/coold/dispatch');
    curl_setopt_array($curl, [
        CURLOPT_UNIX_SOCKET_PATH => $socket,
        CURLOPT_POST => true,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_CONNECTTIMEOUT => 10,
        CURLOPT_TIMEOUT => 30,
        CURLOPT_HTTPHEADER => ['Accept: application/json', 'Content-Type: application/json'],
        CURLOPT_POSTFIELDS => json_encode([
            'host_id' => $host,
            'request_id' => 'why-' . bin2hex(random_bytes(8)),
            'command' => ['type' => 'firewall.explain'] + $flow,
        ], JSON_THROW_ON_ERROR),
    ]);
    $body = curl_exec($curl);
    if ($body === false) {
        fwrite(STDERR, curl_error($curl) . "\n");
        exit(2);
    }
    $answer = json_decode($body, true, flags: JSON_THROW_ON_ERROR);
    if ($answer['status'] !== 'ok') {
        fwrite(STDERR, "$host: {$answer['reason']}: {$answer['message']}\n");
        exit(2);
    }
    return $answer['data'];
}

$hosts = array_values(array_unique([$hostOfSrc, $hostOfDst]));
$badness = ['elsewhere' => 0, 'passes' => 1, 'unknown' => 2, 'blocked' => 3];
$hops = [];
$allow = [];
$verdicts = [];
foreach ($hosts as $host) {
    // A name or an id means something on its own host alone; the first answer has the addresses.
    $explained = explain($socket, $host, $flow);
    $flow['src'] = $explained['src']['address'];
    $flow['dst'] = $explained['dst']['address'];
    $verdicts[] = $explained['verdict'];
    foreach ($explained['hops'] as $at => $hop) {
        // Both hosts judge WireGuard: the worse verdict counts.
        if (!isset($hops[$at]) || $badness[$hop['verdict']] > $badness[$hops[$at]['verdict']]) {
            $hops[$at] = ['host' => $host] + $hop;
        }
    }
    if (isset($explained['allow'])) {
        $allow[] = ['host_id' => $host, 'command' => ['type' => 'firewall.allow'] + $explained['allow']];
    }
}

$verdict = match (true) {
    in_array('blocked', $verdicts, true) => 'blocked',
    in_array('unknown', $verdicts, true) => 'unknown',
    default => 'passes',
};
echo json_encode(compact('verdict', 'hops', 'allow'), JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES), "\n";
exit(['passes' => 0, 'blocked' => 1, 'unknown' => 2][$verdict]);
