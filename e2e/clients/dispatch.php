<?php
// Laravel's side of the lane: what Http::withOptions(['curl' => [CURLOPT_UNIX_SOCKET_PATH => …]])->acceptJson()
// ->post('http://broker/v1/coold/dispatch', …) sends, with php-curl alone.
//
//   php dispatch.php SOCKET METHOD PATH [JSON]
//
// Prints one line: {"status":…,"body":…}. Exit 1 when there was no HTTP answer.
declare(strict_types=1);

[, $socket, $method, $path] = $argv;
$json = $argv[4] ?? null;

$curl = curl_init('http://broker' . $path);
curl_setopt_array($curl, [
    CURLOPT_UNIX_SOCKET_PATH => $socket,
    CURLOPT_CUSTOMREQUEST => $method,
    CURLOPT_RETURNTRANSFER => true,
    CURLOPT_CONNECTTIMEOUT => 10,
    CURLOPT_TIMEOUT => 30,
    CURLOPT_HTTPHEADER => ['Accept: application/json', 'Content-Type: application/json', 'User-Agent: GuzzleHttp/7'],
] + ($json === null ? [] : [CURLOPT_POSTFIELDS => $json]));

$body = curl_exec($curl);
if ($body === false) {
    fwrite(STDERR, curl_error($curl) . "\n");
    exit(1);
}
echo json_encode([
    'status' => curl_getinfo($curl, CURLINFO_RESPONSE_CODE),
    // As Laravel's ->json() reads it: an answer that is not JSON throws. A 204 has none.
    'body' => $body === '' ? null : json_decode($body, flags: JSON_THROW_ON_ERROR),
], JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES), "\n";
