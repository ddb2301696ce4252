from ssl_jax.settings import RENAMED, Configured, configured, current_name, settings_of


@configured
def scaled(factor, *, offset=1):
    return lambda x: factor * x + offset


def test_a_made_function_carries_what_made_it_and_computes_the_same():
    function = scaled(3)
    assert isinstance(function, Configured) and function(2) == 7
    assert (function.name, function.settings) == ("scaled", {"factor": 3, "offset": 1})


def test_arguments_by_position_and_in_any_number_have_names():
    assert settings_of(lambda a, *rest, b=2: None, 1, 3, 4) == {"a": 1, "rest": (3, 4), "b": 2}


def test_an_older_name_of_an_option_is_replaced_and_mentioned_once_and_other_names_stay(monkeypatch, capsys):
    monkeypatch.setitem(RENAMED, "an_older_name", "stride")
    assert [current_name("an_older_name", ("prediction_steps", "stride")) for _ in range(2)] == ["stride", "stride"]
    sentence = "an_older_name is now called stride: the old name is accepted until the next release\n"
    assert capsys.readouterr().err == sentence
    names = ("an_older_name", "stride")
    assert [current_name(name, names) for name in (*names, "wrong")] == [*names, "wrong"]
    assert capsys.readouterr().err == ""
