module corral/bench/native

go 1.21
