<?php
// Calls a host again and again, while a test kills and restarts the broker, until its standard input ends; then once more. Each
// call has one request_id and succeeds in the end.
//
//   php outage.php SOCKET HOST_ID
declare(strict_types=1);

require __DIR__ . '/check.php';

use Coolify\Coold\Client;
use Coolify\Coold\Exception\HostNotConnected;
use Coolify\Coold\Retries;

[, $socket, $hostId] = $argv;
$host = Client::at($socket, new Retries(attempts: 100, totalSeconds: 100, mostWaitSeconds: 1))->host($hostId);
stream_set_blocking(STDIN, false);
for ($calls = 0, $hasBegun = $isLast = false; !$isLast;) {
    $isLast = fgets(STDIN) === false && feof(STDIN);
    try {
        $host->listContainers();
        $calls++;
    } catch (HostNotConnected) {
        // A broker that has just started does not know its hosts yet; that passes too, and is the caller's to judge.
        usleep(100_000);
        $isLast = false;
    }
    if ($calls > 0 && !$hasBegun) {
        $hasBegun = true;
        echo "begun\n";
    }
}
echo json_encode(['calls' => $calls], JSON_THROW_ON_ERROR), "\n";
