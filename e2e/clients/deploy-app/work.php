<?php
// A queue worker. It says what it does, and ends with its standard input.
//
//   php work.php SOCKET DATABASE
declare(strict_types=1);

require __DIR__ . '/bootstrap.php';

use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Queue\Worker;
use Illuminate\Queue\WorkerOptions;

[, $socket, $file] = $argv;
[$app, $queue] = application($socket, $file);
$handler = new class () implements ExceptionHandler {
    public function report(Throwable $e): void
    {
        fwrite(STDERR, "$e\n");
    }

    public function shouldReport(Throwable $e): bool
    {
        return true;
    }

    public function render($request, Throwable $e)
    {
        throw $e;
    }

    public function renderForConsole($output, Throwable $e): void
    {
    }
};
$worker = new Worker($queue->getQueueManager(), $app->make('events'), $handler, static fn (): bool => false);
stream_set_blocking(STDIN, false);
while (!(fgets(STDIN) === false && feof(STDIN))) {
    $worker->runNextJob('default', 'default', new WorkerOptions(backoff: 1, sleep: 0, maxTries: 0));
    usleep(100_000);
}
