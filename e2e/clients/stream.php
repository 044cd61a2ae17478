<?php
// A streamed command with php-curl alone. Laravel's own client cannot do it: for its option 'stream' Guzzle leaves curl for PHP's
// own streams, which know no Unix socket. clients/php does it with input and output side by side. Each line of the answer is
// printed as it comes.
//
//   php stream.php SOCKET JSON [INPUT]
//
// INPUT is NDJSON that is posted to the stream's input call once the stream has begun; the status of that call is printed
// as {"input_status":…}. Exit 0 when the answer came to its end, 1 when it broke off or there was none.
declare(strict_types=1);

[, $socket, $json] = $argv;
$input = $argv[3] ?? null;

/** @return CurlHandle */
function call(string $socket, string $path, string $type, string $body, callable $onData)
{
    $curl = curl_init('http://broker' . $path);
    curl_setopt_array($curl, [
        CURLOPT_UNIX_SOCKET_PATH => $socket,
        CURLOPT_POSTFIELDS => $body,
        CURLOPT_CONNECTTIMEOUT => 10,
        CURLOPT_HTTPHEADER => ['Content-Type: ' . $type, 'User-Agent: GuzzleHttp/7'],
        CURLOPT_WRITEFUNCTION => function ($curl, string $data) use ($onData): int {
            $onData($data);
            return strlen($data);
        },
    ]);
    return $curl;
}

function say(string $line): void
{
    // As Laravel would read it: a line that is not JSON throws.
    json_decode($line, flags: JSON_THROW_ON_ERROR);
    echo $line, "\n";
    flush();
}

$buffer = '';
$stream = call($socket, '/v1/coold/stream', 'application/json', $json, function (string $data) use (&$buffer, &$input, $socket, $json): void {
    $buffer .= $data;
    while (($end = strpos($buffer, "\n")) !== false) {
        say(substr($buffer, 0, $end));
        $buffer = substr($buffer, $end + 1);
        if ($input === null) {
            continue;
        }
        $id = json_decode($json, true, flags: JSON_THROW_ON_ERROR)['request_id'];
        $post = call($socket, "/v1/coold/stream/$id/input", 'application/x-ndjson', $input, function (): void {});
        $input = null;
        curl_exec($post);
        say(json_encode(['input_status' => curl_getinfo($post, CURLINFO_RESPONSE_CODE)], JSON_THROW_ON_ERROR));
    }
});

if (curl_exec($stream) === false) {
    fwrite(STDERR, curl_error($stream) . "\n");
    exit(1);
}
// A refusal is one envelope without a newline.
if ($buffer !== '') {
    say($buffer);
}
