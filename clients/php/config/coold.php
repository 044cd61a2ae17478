<?php
declare(strict_types=1);

return [
    // BROKER_UNIX_SOCKET_PATH of the broker.
    'socket' => env('COOLD_BROKER_SOCKET', '/run/coolify/broker.sock'),
    'connect_seconds' => 5,
    // BROKER_DISPATCH_TIMEOUT_SECS of the broker.
    'dispatch_seconds' => 10,
    // Requests are repeated with the same request_id.
    'retries' => [
        'attempts' => 8,
        'total_seconds' => 60,
    ],
];
